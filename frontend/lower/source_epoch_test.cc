// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/source_epoch.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

const std::string kCommit(40, 'c');

/// A build whose remotes have times.
struct TimedBuild : testing::Build {
  TimedBuild() {
    options.callbacks.pinner = &pinner;
    pinner.files["https://h/src.tar"] = {sha256("tar"), std::nullopt};
    pinner.commits["https://h/x.git#"] = {kCommit, "", ""};
    pinner.times = {{"https://h/src.tar", 1700000402}, {kCommit, 1700000101}};
  }
  std::optional<std::int64_t> epoch(const std::string& text) { return run(text).target.source_date_epoch; }
};

TEST_CASE_FIXTURE(TimedBuild, "the main context") {
  options.build_args["SOURCE_DATE_EPOCH"] = "context";
  CHECK_FALSE(epoch("FROM scratch\nCOPY x /\n").has_value());
  options.context_source = solver::GitSource{"https://h/x.git", kCommit, "", "", false, true};
  CHECK(epoch("FROM scratch\nCOPY x /\n") == 1700000101);
  const Lowered lowered = run("FROM a\nARG SOURCE_DATE_EPOCH\nRUN x\n");
  const auto& environment = testing::last_op<solver::ExecOp>(lowered).environment;
  CHECK(std::find(environment.begin(), environment.end(), "SOURCE_DATE_EPOCH=1700000101") != environment.end());
}

TEST_CASE_FIXTURE(TimedBuild, "COPY reads a remote main context") {
  options.context_source = solver::GitSource{"https://h/x.git", kCommit, "", "", false, true};
  const Lowered lowered = run("FROM scratch\nCOPY x /\n");
  CHECK(testing::step_names(lowered) == std::vector<std::string>{"[internal] load git source", "[1/1] COPY x /"});
}

TEST_CASE_FIXTURE(TimedBuild, "a named context") {
  const std::string file = "ARG SOURCE_DATE_EPOCH=mysource\nFROM scratch\nCOPY x /\n";
  options.named_contexts = {{"mysource", "https://h/src.tar"}};
  CHECK(epoch(file) == 1700000402);
  options.named_contexts = {{"mysource", "https://h/x.git"}};
  CHECK(epoch(file) == 1700000101);
  options.named_contexts = {{"mysource", "local:/d"}};
  CHECK_FALSE(epoch(file).has_value());
  options.named_contexts = {{"mysource", "docker-image://b"}};
  CHECK_FALSE(epoch(file).has_value());
}

TEST_CASE_FIXTURE(TimedBuild, "a stage that is one remote ADD") {
  const auto stage = [](const std::string& body) {
    return cat("ARG SOURCE_DATE_EPOCH=MySource\nARG URL=https://h/src.tar\n", body, "FROM scratch\nCOPY x /\n");
  };
  CHECK(epoch(stage("FROM scratch AS mysource\nADD https://h/src.tar /\n")) == 1700000402);
  CHECK(epoch(stage("FROM scratch AS mysource\nARG EXT=tar\nADD https://h/src.$EXT /\n")) == 1700000402);
  CHECK(epoch(stage("FROM scratch AS mysource\nADD https://h/x.git /\n")) == 1700000101);
  const auto error = [&](const std::string& body) { return message(stage(body)); };
  CHECK(error("FROM a AS mysource\nADD https://h/src.tar /\n") == "SOURCE_DATE_EPOCH stage must use FROM scratch");
  CHECK(error("FROM scratch AS mysource\nCOPY x /\n") ==
        "SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported copy instruction");
  CHECK(error("FROM scratch AS mysource\n") == "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD");
  CHECK(error("FROM scratch AS mysource\nADD https://h/src.tar /\nADD https://h/src.tar /y\n") ==
        "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD");
  CHECK(error("FROM scratch AS mysource\nADD a b /\n") ==
        "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source");
  CHECK(error("FROM scratch AS mysource\nADD local.tar /\n") ==
        "SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD");
}

TEST_CASE_FIXTURE(TimedBuild,
                  "the user's number wins over the file's source, and a value that is neither is an error") {
  const std::string file =
      "ARG SOURCE_DATE_EPOCH=mysource\nFROM scratch AS mysource\nADD https://h/src.tar /\nFROM scratch\n";
  options.build_args["SOURCE_DATE_EPOCH"] = "1700000502";
  CHECK(epoch(file) == 1700000502);
  CHECK(pinner.expectations.empty());
  options.build_args.clear();
  CHECK(message("ARG SOURCE_DATE_EPOCH=nothing\nFROM scratch\n") == "invalid SOURCE_DATE_EPOCH: nothing");
}

}  // namespace
}  // namespace cbuild::frontend
