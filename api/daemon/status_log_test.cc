// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/status_log.h"

#include <doctest/doctest.h>

#include "api/proto/control.pb.h"

namespace cbuild::api {
namespace {

std::vector<StatusLog::Message> all(StatusLog& log, bool& ended) { return log.read(0, std::chrono::seconds(0), ended); }

}  // namespace

TEST_CASE("a task is told whole each time, its output and counters in between") {
  StatusLog log;
  log.on_event(TaskAdded{1, "RUN x", {}});
  log.on_event(TaskStarted{1, 5, {}});
  log.on_event(TaskLog{1, 6, LogStream::err, "said\n"});
  log.on_event(TaskCounter{1, "blob", 3, 9, true, false});
  log.on_event(TaskFinished{1, 7, TaskState::failed, "exit code: 1"});
  bool ended = true;
  const auto messages = all(log, ended);
  REQUIRE(messages.size() == 5);
  CHECK_FALSE(ended);
  const std::string digest = messages[0]->vertexes(0).digest();
  CHECK(digest.starts_with("sha256:"));
  CHECK(messages[1]->vertexes(0).digest() == digest);
  CHECK(messages[1]->vertexes(0).has_started());
  CHECK(messages[2]->logs(0).vertex() == digest);
  CHECK(messages[2]->logs(0).stream() == 2);
  CHECK(messages[2]->logs(0).msg() == "said\n");
  CHECK(messages[3]->statuses(0).current() == 3);
  CHECK(messages[3]->statuses(0).total() == 9);
  CHECK_FALSE(messages[3]->statuses(0).has_completed());
  CHECK(messages[4]->vertexes(0).name() == "RUN x");
  CHECK(messages[4]->vertexes(0).error() == "exit code: 1");
  CHECK(log.read(3, std::chrono::seconds(0), ended).size() == 2);
}

TEST_CASE("tasks of one name are different vertexes, and what never ended ends with the log") {
  StatusLog log;
  log.on_event(TaskAdded{1, "pull", {}});
  log.on_event(TaskAdded{2, "pull", {}});
  log.on_event(TaskStarted{2, 5, {}});
  log.close();
  bool ended = false;
  const auto messages = all(log, ended);
  REQUIRE(messages.size() == 4);
  CHECK(ended);
  CHECK(messages[0]->vertexes(0).digest() != messages[1]->vertexes(0).digest());
  REQUIRE(messages[3]->vertexes_size() == 1);
  CHECK(messages[3]->vertexes(0).digest() == messages[1]->vertexes(0).digest());
  CHECK(messages[3]->vertexes(0).has_completed());
  CHECK(messages[3]->vertexes(0).error().empty());
}

TEST_CASE("findings belong to a vertex of the file, and errors in it end that vertex") {
  StatusLog log;
  const auto source = std::make_shared<SourceText>("Dockerfile", "from scratch\n");
  log.on_event(
      RunDiagnostic{{Severity::warning, {source, 0, 4}, "should be upper case", "", "ConsistentInstructionCasing"}});
  log.on_event(RunDiagnostic{{Severity::error, {source, 0, 4}, "wrong", "", ""}});
  bool ended = false;
  const auto messages = all(log, ended);
  REQUIRE(messages.size() == 2);
  REQUIRE(messages[0]->warnings_size() == 1);
  CHECK(messages[0]->warnings(0).vertex() == messages[0]->vertexes(0).digest());
  CHECK(messages[0]->warnings(0).ranges(0).start().line() == 1);
  CHECK(messages[0]->warnings(0).info().filename() == "Dockerfile");
  CHECK(messages[1]->vertexes(0).error().find("wrong") != std::string::npos);
}

}  // namespace cbuild::api
