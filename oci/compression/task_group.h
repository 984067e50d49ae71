// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

namespace cbuild::oci::layer {

/// The tasks of one job, done by TBB threads of the caller's arena and by the caller itself, from one queue. The caller
/// never waits inside TBB, so it never picks up work of other jobs, and everything gets done even where the arena has
/// one thread only.
class TaskGroup {
 public:
  using Item = std::function<void()>;

  TaskGroup();
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Queues an item; thread-safe, also from within items. Nothing touches TBB before the first call.
  void post(Item item);
  /// Runs items in the calling thread until `done` says true; blocks while there are none. `done` is asked again after
  /// every item that ends anywhere. Rethrows the first exception of any item; nothing new is begun after one.
  void help_until(const std::function<bool()>& done);
  /// Drops items that have not begun, waits for those that run, and takes nothing new. For owners of data that items
  /// point at.
  void stop() noexcept;
  /// How many threads the arena of the calling thread has.
  static unsigned width();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace cbuild::oci::layer
