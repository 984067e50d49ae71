// SPDX-License-Identifier: Apache-2.0
// First bytes of connections and messages of DNS that nobody vouches for: a name is a clean one, more bytes never
// change one that was found, and an answer to a question fits it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "sandbox/network/wire_names.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild::sandbox::network;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const WireName whole = first_name(bytes);
  CBUILD_CHECK((whole.found == Wire::named) == !whole.name.empty());
  CBUILD_CHECK(std::all_of(whole.name.begin(), whole.name.end(), [](char c) { return c > ' ' && c < 127; }));
  const WireName half = first_name(bytes.substr(0, size / 2));
  if (half.found != Wire::more) CBUILD_CHECK(half.found == whole.found && half.name == whole.name);
  if (const auto question = dns_question(bytes)) {
    CBUILD_CHECK(question->size <= size);
    const std::string answer = dns_answer(bytes, *question, 3);
    CBUILD_CHECK(answer.size() == question->size && dns_addresses(answer).empty());
  }
  CBUILD_CHECK(dns_addresses(bytes).size() <= size / 4);
  return 0;
}
