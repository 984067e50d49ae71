// SPDX-License-Identifier: Apache-2.0
// Rows of the build history: written and read back, damaged, and without confidential values.
#include "engine/build_entry.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "engine/history_record.h"

namespace cbuild::engine {
namespace {

using solver::Difference;
using solver::Reason;

BuildEntry full_entry() {
  BuildEntry entry{"0123456789ab",
                   "app:1",
                   "failed",
                   "/ctx",
                   "Dockerfile",
                   "build",
                   {"--build-arg V"},
                   "sha256:aa",
                   "boom",
                   R"({"words": ["--build-arg=V=confidential"]})",
                   10,
                   20,
                   3,
                   1,
                   {}};
  StepEntry step{7,
                 "[build 2/3] RUN make",
                 "build",
                 "exec",
                 4,
                 "failed",
                 "",
                 "ab",
                 {3, -1},
                 1,
                 2,
                 3,
                 true,
                 9,
                 {},
                 "exit code: 2",
                 "logs/0123456789ab/7.log",
                 {11, 12, 13, 14, 15, true}};
  step.reason = {Reason::Kind::changed, "a: mode changed (0644 -> 0755)", {}, 0};
  step.reason.differences.push_back(
      {Difference::Kind::file, "a", "mode", "0644", "0755", "a: mode changed (0644 -> 0755)"});
  entry.steps = {{}, step};
  entry.steps[0].name = "FROM x";
  entry.steps[0].state = "cached";
  entry.steps[0].found_by = "definition";
  entry.provenance = R"({"runDetails":{}})";
  return entry;
}

TEST_CASE("what asks for a build again is not shown") {
  CHECK(to_json(full_entry()).dump().find("confidential") == std::string::npos);
}

TEST_CASE("a row of history is read back as it was written") {
  const BuildEntry entry = full_entry();
  CHECK(from_summary(to_summary(entry)) == entry);
}

TEST_CASE("a damaged row gives the fields that can be read") {
  cache::Store::BuildSummary summary = to_summary(full_entry());
  for (const char* detail :
       {"", "[]", "{\"steps\": 3}", "{\"steps\": [3, {\"id\": \"x\", \"inputs\": [\"y\"], \"reason\": {}}]}", "\xff"}) {
    CAPTURE(detail);
    summary.detail_json = detail;
    const BuildEntry entry = from_summary(summary);
    CHECK(entry.id == "0123456789ab");
    CHECK(entry.steps.size() <= 1);
  }
}

TEST_CASE("names that are not UTF-8 do not break the row") {
  BuildEntry entry = full_entry();
  entry.steps[1].name = "RUN \xff";
  CHECK(from_summary(to_summary(entry)).steps[1].name == "RUN \xEF\xBF\xBD");
}

TEST_CASE("every step says why") {
  StepEntry step;
  const auto text = [&](const char* state, const char* found_by) {
    step.state = state;
    step.found_by = found_by;
    return why(step);
  };
  CHECK(text("cached", "definition") == "cached: the same instruction on the same sources");
  step.created_ns = 1'700'000'000'000'000'000;
  CHECK(text("cached", "content") == "cached: its inputs came out the same, made 2023-11-14T22:13:20Z");
  CHECK(text("cached", "") == "cached: only steps that are cached themselves read it");
  step.type = "image";
  CHECK(text("cached", "") == "cached: its layers were known already");
  CHECK(text("ran", "") == "its layers were not known yet");
  step.created_ns = 0;
  CHECK(text("cached", "") == "cached: only steps that are cached themselves read it");
  CHECK(text("cancelled", "") == "not begun: the build had ended");
  step.reason = {Reason::Kind::never_built, "no cached result", {}, 0};
  CHECK(text("ran", "") == "no cached result");
  CHECK(text("failed", "") == "no cached result");
}

TEST_CASE("the request in the history has names, no values") {
  BuildRequest request;
  request.inputs.build_args = {{"TOKEN", "confidential"}};
  request.inputs.labels = {{"l", "confidential"}};
  request.steps.secrets = {{"npm", [] { return std::string("confidential"); }}};
  request.caches.none = true;
  request.inputs.targets = {"t"};
  const std::vector<std::string> arguments = describe_arguments(request);
  CHECK(arguments ==
        std::vector<std::string>{"--target t", "--build-arg TOKEN", "--label l", "--secret id=npm", "--no-cache"});
  CHECK(build_name(request, "/a/ctx") == "ctx/t");
  request.outputs.list.emplace_back().names = {"x:1"};
  CHECK(build_name(request, "/a/ctx") == "x:1");
  CHECK(describe_build_entry(request, "/a/ctx").context == "/a/ctx");
  const Error error(ErrorCode::input, "x");
  CHECK(status_name(std::nullopt, false) == "ok");
  CHECK(status_name(std::nullopt, true) == "cancelled");
  CHECK(status_name(Cancelled{}, false) == "cancelled");
  CHECK(status_name(Failed{error, Failed::Part::output}, false) == "export-failed");
  CHECK(status_name(Failed{error, Failed::Part::base}, false) == "failed");
  CHECK(status_name(Failed{error, Failed::Part::output}, true) == "cancelled");
  CHECK(status_name(StepFailed{"", {}, {error, 1, ""}}, false) == "failed");
  CHECK(status_name(StepFailed{"", {}, {Error(ErrorCode::cancelled, "x"), 1, ""}}, false) == "cancelled");
  CHECK(new_build_id(1).size() == 12);
  CHECK(new_build_id(1) != new_build_id(2));
}

}  // namespace
}  // namespace cbuild::engine
