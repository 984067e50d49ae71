// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/on_error.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::cli {
namespace {

std::string on_error_refusal(const char* text, bool terminal = true) {
  try {
    (void)parse_on_error(text, terminal);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("values of --on-error") {
  CHECK(parse_on_error("", false) == OnError{});
  CHECK(parse_on_error("shell", true) == OnError{OnErrorAction::shell, ""});
  CHECK(parse_on_error("export=out/dir=1", false) == OnError{OnErrorAction::export_changes, "out/dir=1"});
  CHECK(parse_on_error("export=/tmp", false).directory == "/tmp");
}

TEST_CASE("values that are refused before anything runs") {
  CHECK(on_error_refusal("shell", false) == "--on-error: shell needs a terminal as stdin and stderr");
  CHECK(on_error_refusal("shell=/bin/sh") == "--on-error: shell takes no value");
  CHECK(on_error_refusal("export") == "--on-error: export needs a directory");
  CHECK(on_error_refusal("export=") == "--on-error: export needs a directory");
  CHECK(on_error_refusal("export=-") == "--on-error: dest=- is stdout, which is not a directory");
  CHECK(on_error_refusal("export=/etc/passwd") == "--on-error: /etc/passwd is not a directory");
  CHECK(on_error_refusal("shel") == "--on-error: unknown value 'shel'");
}

}  // namespace cbuild::cli
