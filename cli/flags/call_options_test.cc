// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/call_options.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

using Question = CallOptions::Question;

std::string usage_of(const std::string& text) {
  try {
    parse_call(text);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return cat(error.what(), "; ", error.hint());
  }
  return {};
}

TEST_CASE("the methods of --call") {
  CHECK(parse_call("build") == std::nullopt);
  CHECK(parse_call("check") == CallOptions{Question::check, false, false});
  CHECK(parse_call("lint,format=json") == CallOptions{Question::check, true, false});
  CHECK(parse_call("format=text,check,ignorestatus=true") == CallOptions{Question::check, false, true});
  CHECK(parse_call("outline") == CallOptions{Question::outline, false, false});
  CHECK(parse_call("targets,format=json") == CallOptions{Question::targets, true, false});
  CHECK(parse_call("subrequests.describe") == CallOptions{Question::describe, false, false});
}

TEST_CASE("wrong values of --call") {
  CHECK(usage_of("chekc") == "--call: unknown method 'chekc'; did you mean check?");
  CHECK(usage_of("x") == "--call: unknown method 'x'; build, check, outline, targets or subrequests.describe");
  CHECK(usage_of("") == "--call: unknown method ''; build, check, outline, targets or subrequests.describe");
  CHECK(usage_of("check,outline") == "--call: 'check,outline' names two methods; ");
  CHECK(usage_of("format=json") == "--call: 'format=json' names no method; for example --call=check,format=json");
  CHECK(usage_of("check,format=xml") == "--call: unknown format 'xml'; json or text");
  CHECK(usage_of("check,ignorestatus=2") == "--call: ignorestatus=2 is neither true nor false; ");
  CHECK(usage_of("check,mode=1") == "--call: unknown field 'mode'; fields: format, ignorestatus");
}

}  // namespace
}  // namespace cbuild::cli
