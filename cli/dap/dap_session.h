// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "base/cancel.h"
#include "cli/dap/dap_channel.h"

namespace cbuild::cli {

/// The requests of an editor: one thread reads them, answers those that need no build, and keeps those for the build
/// until it stands still. A disconnect cancels the build.
class DapSession {
 public:
  /// Both outlive it.
  DapSession(DapChannel& channel, CancelSource& cancel);
  ~DapSession();
  DapSession(const DapSession&) = delete;
  DapSession& operator=(const DapSession&) = delete;

  /// Waits for "launch" and the end of the configuration, and gives the arguments; null if the editor left before.
  DapJson wait_for_launch();
  /// The next request for a build that stands still; null if the editor has left.
  DapJson next_request();
  /// From now on requests are kept; without, they are refused.
  void set_stopped(bool stopped);
  /// Lines with breakpoints of a file, by its path as the editor has it.
  std::set<std::uint32_t> breakpoints(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::cli
