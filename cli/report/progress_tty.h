// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/progress.h"

namespace cbuild::cli {

/// The state of one task in the live view.
struct TaskView {
  enum class Phase { waiting, running, done } phase = Phase::waiting;
  std::string name, note, error;
  TaskState state = TaskState::ok;
  std::int64_t started_ns = 0, finished_ns = 0;
  std::deque<std::string> tail;  ///< last complete lines of output
  std::string partial;
  std::map<std::string, TaskCounter> counters;  ///< not yet done
  ResourceUse use;                              ///< of its command, when it is done
};

/// The picture of the whole build at one moment; pure, so that tests can look at it.
struct Picture {
  std::vector<TaskView> tasks;  ///< in display order
  std::vector<std::string> notes;
  std::int64_t elapsed_ns = 0, now_ns = 0;
  bool final = false;  ///< the last picture: no tails of steps that ended well
};
/// Lines of at most `width` columns, at most `height` of them (0: no limit), with colours if `color`.
std::vector<std::string> draw(const Picture& picture, std::size_t width, std::size_t height, bool color);

/// A live view: redraws in place ten times a second on a thread that exists only while something runs longer than an
/// instant.
class TtyProgress final : public ProgressSink {
 public:
  explicit TtyProgress(int fd);
  ~TtyProgress() override;
  void on_event(const ProgressEvent& event) override;

 private:
  void handle(const TaskAdded& event);
  void handle(const TaskStarted& event);
  void handle(const TaskFinished& event);
  void handle(const TaskLog& event);
  void handle(const TaskCounter& event);
  void handle(const TaskUse& event);
  void handle(const RunNote& event);
  void handle(const RunDiagnostic& event);
  TaskView& task(TaskId id);
  void redraw(bool final);
  void tick();

  const int fd_;
  const std::int64_t start_ns_;
  std::mutex mutex_;  // guards all below
  std::condition_variable stop_;
  bool stopping_ = false;
  std::vector<TaskId> order_;
  std::map<TaskId, TaskView> tasks_;
  std::vector<std::string> notes_;
  std::size_t drawn_lines_ = 0;
  std::jthread ticker_;
};

}  // namespace cbuild::cli
