// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/diagnostic.h"
#include "base/digest.h"
#include "base/process_values.h"

/// One stream of typed events about units of work ("tasks"), many renderers. Ids are chosen by the sender and unique in
/// one stream. Times are monotonic nanoseconds.
namespace cbuild {

using TaskId = std::uint64_t;

enum class TaskState { ok, cached, failed, cancelled };
enum class LogStream : std::uint8_t { out = 1, err = 2 };

struct TaskAdded {
  TaskId id;
  std::string name;
  Span source;
  Digest digest = {};               ///< of the work, the same in every run that does it; empty where there is none
  std::vector<Digest> inputs = {};  ///< digests of tasks whose results it takes
};                                  ///< known, not begun; in display order
struct TaskStarted {
  TaskId id;
  std::int64_t time_ns;
  std::string note;
};  ///< note: why it runs, one line; may be empty
struct TaskFinished {
  TaskId id;
  std::int64_t time_ns;
  TaskState state;
  std::string error;
};
struct TaskLog {
  TaskId id;
  std::int64_t time_ns;
  LogStream stream;
  std::string_view data;
};  ///< data lives for the call
/// Progress of one countable thing inside a task ("sha256:ab.. 3.1MB / 9MB"); total 0 when unknown.
struct TaskCounter {
  TaskId id;
  std::string item;
  std::uint64_t current, total;
  bool bytes;
  bool done;
};
/// What a task has used that is about to finish.
struct TaskUse {
  TaskId id;
  ResourceUse use;
};
/// A message of the whole run (which isolation mode is used, a dropped cache): not tied to a task.
struct RunNote {
  Severity severity;
  std::string text;
};
struct RunDiagnostic {
  Diagnostic diagnostic;
};

using ProgressEvent =
    std::variant<TaskAdded, TaskStarted, TaskFinished, TaskLog, TaskCounter, TaskUse, RunNote, RunDiagnostic>;

/// Receives events from any thread. Implementations synchronise themselves, return fast, and never throw.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void on_event(const ProgressEvent& event) = 0;
};

/// Drops everything.
class NullProgress final : public ProgressSink {
 public:
  void on_event(const ProgressEvent&) override {}
};

}  // namespace cbuild
