// SPDX-License-Identifier: Apache-2.0
// Lines are patterns, the last one is a path. Lists are made or fail with Error{input}; a walk agrees with the whole
// path.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/pattern/path_pattern.h"
#include "base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  std::vector<std::string> patterns = split({reinterpret_cast<const char*>(data), size}, '\n');
  const std::string path = patterns.back();
  patterns.pop_back();
  for (const std::string& pattern : patterns) match_glob(pattern, path);
  try {
    const PathPatternList list(patterns);
    PathPatternList::ParentMatch parent, self;
    bool walked = false;
    for (std::size_t from = 0, end = 0; end != std::string::npos; from = end + 1) {
      end = path.find('/', from);
      walked = list.matches(std::string_view(path).substr(0, end), parent, self);
      std::swap(parent, self);
    }
    CBUILD_CHECK(walked == list.matches(path));
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::input);
  }
  return 0;
}
