// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/lower_chmod.h"

#include <doctest/doctest.h>

#include <string>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

std::string problem(std::string_view mode) {
  try {
    check_chmod(mode);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::input);
    return e.message();
  }
  return {};
}

TEST_CASE("modes that are accepted") {
  for (const char* mode : {"", "0", "644", "0755", "7777", "000007777", "+x", "a+x", "u=rwX,go=rX", "g=u", "u+x-w",
                           "go=", "u=rwx,g+s,o+t", "-w", "=rw,+X", "ugo+rwx"}) {
    CAPTURE(mode);
    CHECK(problem(mode) == "");
  }
}

TEST_CASE("modes that are refused") {
  for (const char* mode : {"64a", "10000", "8", "0o755", "777777777777777777777777", "9"}) {
    CAPTURE(mode);
    CHECK(problem(mode) ==
          std::string("invalid chmod parameter: '") + mode + "'. it should be octal string and between 0 and 07777");
  }
  for (const char* mode : {"foo", "u", "x+u", "u=rwx,", ",u+x", "+755", "u+z", "-8", "u+x ,g+x", "+,+x,"}) {
    CAPTURE(mode);
    CHECK(problem(mode) == "invalid syntax");
  }
}

}  // namespace
}  // namespace cbuild::frontend
