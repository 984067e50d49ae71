// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/progress.h"

namespace cbuild::engine {

/// Counts the attempts at a build that ended because content of the store or of a remote cache was missing. That
/// content is forgotten, and the next attempt makes it again; all else that this one did is found then.
class MissingContent {
 public:
  MissingContent(ProgressSink& progress, const CancelSource& cancel) : progress_(progress), cancel_(cancel) {}

  void begin_attempt() { found_ = false; }
  /// Whether `error`, which ended the attempt, says that content is missing and another attempt makes sense. Notes it
  /// in the progress.
  bool take(const Error& error);
  /// Whether take() was true in this attempt.
  bool found() const { return found_; }
  /// Whether there was an attempt before this one.
  bool repeats() const { return !messages_.empty(); }

 private:
  ProgressSink& progress_;
  const CancelSource& cancel_;
  std::vector<std::string> messages_;  ///< a line for each attempt that was ended
  bool found_ = false;
};

}  // namespace cbuild::engine
