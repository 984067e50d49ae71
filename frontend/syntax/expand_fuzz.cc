// SPDX-License-Identifier: Apache-2.0
// The first byte chooses the options, the rest is the word. Whatever it is, it expands or fails with Error{input}.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "frontend/syntax/heredoc.h"
#include "frontend/text/expand.h"
#include "frontend/text/utf8.h"

namespace {

using namespace cbuild;
using namespace cbuild::frontend;

std::optional<std::string> lookup(std::string_view name) {
  if (name == "A") return "abcabc";
  if (name == "B") return "a b\nb*";
  if (name == "P") return "*b?";
  if (name == "E") return "";
  return std::nullopt;
}

ExpandOptions options_of(std::uint8_t bits) {
  ExpandOptions options;
  options.escape = (bits & 1) != 0 ? '`' : '\\';
  options.raw_quotes = (bits & 2) != 0;
  options.skip_unset = (bits & 4) != 0;
  options.heredoc = (bits & 8) != 0;
  options.raw_escapes = (bits & 16) != 0;
  return options;
}

template <typename Work>
bool input_error_or(const Work& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::input);
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ExpandOptions options = options_of(data[0]);
  const std::string_view word(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool one = input_error_or([&] { CBUILD_CHECK(utf8::valid(expand_word(word, lookup, options).text)); });
  const bool many = input_error_or([&] {
    for (const std::string& part : expand_words(word, lookup, options)) CBUILD_CHECK(!part.empty());
  });
  CBUILD_CHECK(one == many);
  input_error_or([&] { find_heredocs(word); });
  return 0;
}
