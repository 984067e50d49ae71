// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

namespace cbuild::test {

/// For test cases that need something of the machine: gives `possible`, and says `missing` where it is false. In CI
/// (the variable CI is set and not empty) that fails the case.
inline bool can_run(bool possible, const std::string& missing) {
  if (possible) return true;
  const char* ci = std::getenv("CI");
  if (ci != nullptr && *ci != '\0')
    FAIL_CHECK("cannot run on this machine: " << missing);
  else
    MESSAGE("skipped: " << missing);
  return false;
}

}  // namespace cbuild::test
