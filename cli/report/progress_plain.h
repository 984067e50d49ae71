// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/progress.h"

namespace cbuild::cli {

/// Lines for logs and CI: "#4 [build 2/3] RUN make", "#4 0.52 text", "#4 DONE 1.2s". Steps are numbered in the order
/// they begin.
class PlainProgress final : public ProgressSink {
 public:
  explicit PlainProgress(int fd);
  ~PlainProgress() override;
  void on_event(const ProgressEvent& event) override;

 private:
  struct Task {
    unsigned number = 0;
    std::string name, partial[3];
    std::int64_t started_ns = 0;
    std::string use;                             ///< of its command, as text
    std::map<std::string, std::uint64_t> shown;  ///< counter item -> last printed value
  };

  void handle(const TaskAdded& event);
  void handle(const TaskStarted& event);
  void handle(const TaskFinished& event);
  void handle(const TaskLog& event);
  void handle(const TaskCounter& event);
  void handle(const TaskUse& event);
  void handle(const RunNote& event);
  void handle(const RunDiagnostic& event);
  Task& begun(TaskId id);
  void line(const Task& task, std::string_view text);
  void write(std::string_view text);
  void flush_partial(Task& task);

  const int fd_;
  const std::int64_t start_ns_;
  std::mutex mutex_;  // guards all below
  std::map<TaskId, Task> tasks_;
  unsigned next_number_ = 1;
  const Task* last_ = nullptr;
};

}  // namespace cbuild::cli
