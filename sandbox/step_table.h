// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "sandbox/runner.h"
#include "sandbox/wire.h"

namespace cbuild::sandbox {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// A running step, as the reactor's thread sees it. It is done when the zygote has reported its end and both pipes are
/// at theirs.
struct ReactorStep {
  std::uint64_t id = 0;
  RunCallbacks callbacks;
  UniqueFd output[2];
  std::int64_t started_ns = 0;
  Exit exit;
  std::string last_words;  ///< why exec failed, for the log
  bool ended = false;
  std::int64_t kill_at = kNever, drain_at = kNever, abandon_at = kNever, timeout_at = kNever;

  bool is_done() const { return ended && !output[0] && !output[1]; }
  std::int64_t next_deadline() const;
  /// Gives what is in a pipe to the callback; a part of it, so that one noisy step does not hold up the others.
  void read_output(unsigned stream);
  void take_end(const wire::Ended& end);
};

/// The running steps, and what other threads want of them. Thread-safe; the steps themselves belong to the reactor's
/// thread.
class StepTable {
 public:
  /// What other threads asked for since the last take_orders().
  struct Orders {
    std::optional<std::int64_t> stop_grace_ns;
    std::string failure;  ///< the request could not be sent
  };

  /// An id for a step; they begin at 1.
  std::uint64_t next_id();
  /// From here on the step belongs to the reactor's thread.
  void add(const std::shared_ptr<ReactorStep>& step);
  std::shared_ptr<ReactorStep> find(std::uint64_t id);
  std::vector<std::shared_ptr<ReactorStep>> all();
  bool empty();
  /// False if it was removed before.
  bool remove(std::uint64_t id);

  /// The shortest grace of several counts. False for a step that is over.
  bool order_stop(std::uint64_t id, std::int64_t grace_ns);
  void order_stop_of_all();
  void note_failure(std::uint64_t id, std::string failure);
  Orders take_orders(std::uint64_t id);

 private:
  struct Row {
    std::shared_ptr<ReactorStep> step;
    Orders orders;
  };

  std::mutex mutex_;  // guards all below
  std::map<std::uint64_t, Row> rows_;
  std::uint64_t last_id_ = 0;
};

}  // namespace cbuild::sandbox
