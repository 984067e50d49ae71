// SPDX-License-Identifier: Apache-2.0
#include "cli/report/progress_solve_status.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

using StatusJson = nlohmann::json;

std::vector<StatusJson> told(const std::vector<ProgressEvent>& events) {
  const TempDir dir = TempDir::in_tmp("solve-status-test-");
  {
    const UniqueFd out = sys::open_at(dir.fd(), "out", O_WRONLY | O_CREAT, 0600);
    SolveStatusLines view(out.get());
    for (const ProgressEvent& event : events) view.on_event(event);
  }
  std::vector<StatusJson> lines;
  for (const std::string& line : split(sys::read_file_at(dir.fd(), "out", 1u << 20), '\n'))
    if (!line.empty()) lines.push_back(StatusJson::parse(line));
  return lines;
}

constexpr std::int64_t kBegin = 5'000'000'000;

TaskAdded step(TaskId id, const std::string& name, const std::string& seed, std::vector<Digest> inputs = {}) {
  return {id, name, {}, sha256(seed), std::move(inputs)};
}

TEST_CASE("a step is a vertex that is told again as its state changes") {
  const auto lines =
      told({step(1, "[1/2] RUN a", "one"), step(2, "[2/2] RUN b", "two", {sha256("one"), sha256("not shown")}),
            TaskStarted{2, kBegin, {}}, TaskFinished{1, kBegin, TaskState::cached, {}},
            TaskFinished{2, kBegin + 1'500'000'000, TaskState::failed, "exit code: 3"}});
  REQUIRE(lines.size() == 5);
  for (const StatusJson& line : lines) {
    CHECK(line.size() == 1);
    CHECK(line.at("vertexes").size() == 1);
  }
  const auto vertex = [&](std::size_t i) { return lines[i].at("vertexes")[0]; };
  CHECK(vertex(0) == StatusJson{{"digest", sha256("one").str()}, {"name", "[1/2] RUN a"}});
  CHECK(vertex(1).at("inputs") == StatusJson::array({sha256("one").str()}));
  CHECK(vertex(2).contains("started"));
  CHECK_FALSE(vertex(2).contains("completed"));
  CHECK(vertex(3).at("cached") == true);
  CHECK(vertex(3).at("started") == vertex(3).at("completed"));
  CHECK(vertex(4).at("error") == "exit code: 3");
  CHECK(vertex(4).at("inputs") == vertex(1).at("inputs"));
  const auto ns = [](const StatusJson& time) { return parse_rfc3339_ns(time.get<std::string>()).value(); };
  CHECK(ns(vertex(4).at("completed")) - ns(vertex(4).at("started")) == 1'500'000'000);
  const std::int64_t now = sys::now_ns(), began = now - (sys::monotonic_ns() - kBegin);
  CHECK(std::abs(ns(vertex(2).at("started")) - began) < 60'000'000'000);
}

TEST_CASE("output is bytes, counters are statuses of their vertex") {
  const auto lines =
      told({step(1, "RUN a", "one"), TaskLog{1, kBegin, LogStream::err, std::string_view("a\0\xff", 3)},
            TaskCounter{1, "sha256:x", 0, 9, true, false}, TaskCounter{1, "sha256:x", 9, 9, true, true}});
  REQUIRE(lines.size() == 4);
  StatusJson log = lines[1].at("logs")[0];
  CHECK(log.at("vertex") == sha256("one").str());
  CHECK(log.at("stream") == 2);
  CHECK(log.at("data") == "YQD/");
  CHECK(log.contains("timestamp"));
  const StatusJson first = lines[2].at("statuses")[0], last = lines[3].at("statuses")[0];
  CHECK(first.at("id") == "sha256:x");
  CHECK(first.at("current") == 0);
  CHECK(first.at("total") == 9);
  CHECK_FALSE(first.contains("completed"));
  CHECK(last.at("started") == first.at("started"));
  CHECK(last.contains("completed"));
}

TEST_CASE("vertexes without a digest have one by their name, the same in every run") {
  const std::vector<ProgressEvent> events = {TaskAdded{1, "pull x", {}}, TaskAdded{2, "pull x", {}},
                                             TaskFinished{2, kBegin, TaskState::cancelled, {}}};
  const auto lines = told(events);
  const auto digest = [](const StatusJson& line) { return line.at("vertexes")[0].at("digest"); };
  CHECK(digest(lines[0]) != digest(lines[1]));
  CHECK(digest(told(events)[1]) == digest(lines[1]));
  CHECK(lines[2].at("vertexes")[0].at("error") == "context canceled");
}

TEST_CASE("notes are vertexes that are over, findings are warnings of their file's vertex") {
  const auto source = std::make_shared<const SourceText>("Dockerfile", "FROM scratch as x\n");
  Diagnostic finding;
  finding.rule = "FromAsCasing";
  finding.severity = Severity::warning;
  finding.message = "casing";
  finding.span = {source, 0, 5};
  Diagnostic wrong = finding;
  wrong.rule.clear();
  const auto lines =
      told({RunNote{Severity::warning, "slow"}, RunDiagnostic{finding}, RunDiagnostic{finding}, RunDiagnostic{wrong}});
  REQUIRE(lines.size() == 5);
  const StatusJson note = lines[0].at("vertexes")[0];
  CHECK(note.at("name") == "WARNING: slow");
  CHECK(note.at("started") == note.at("completed"));
  const StatusJson file = lines[1].at("vertexes")[0], warning = lines[2].at("warnings")[0];
  CHECK(file.at("name") == "[internal] load build definition from Dockerfile");
  CHECK(warning.at("vertex") == file.at("digest"));
  CHECK(warning.at("level") == 1);
  CHECK(warning.at("url") == "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
  CHECK(warning.at("sourceInfo").at("data") == base64_encode("FROM scratch as x\n"));
  CHECK(warning.at("range")[0].at("start").at("line") == 1);
  CHECK(lines[3] == lines[2]);
  CHECK(lines[4].at("vertexes")[0].at("error").get<std::string>().find("casing") != std::string::npos);
}

}  // namespace
}  // namespace cbuild::cli
