// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"

namespace cbuild::sandbox::network {

/// What a build has made outside of itself and would leave behind if it were killed, one entry a line: in a file that
/// it holds a lock on as long as it lives. Thread-safe.
class Ledger {
 public:
  /// Makes the directory and a file of its own in it. Throws Error.
  explicit Ledger(const std::string& directory);
  /// Removes the file: all of it has been removed.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  void add(const std::string& entry);
  /// A path next to the file, for a file of this build that the sweep removes, too.
  std::string sibling(const std::string& name) const;

 private:
  std::mutex mutex_;
  std::string path_;
  UniqueFd file_;
};

/// Hands the entries of dead builds to `remove`, the newest first, and forgets them. Throws nothing: what cannot be
/// removed is left to the next sweep.
void sweep_ledgers(const std::string& directory, const std::function<void(const std::string&)>& remove);

/// "process PID START": a process, whoever has its number later.
std::string process_entry(pid_t pid);
/// Kills the process of an entry if it is still that one. False for other entries.
bool end_process(const std::string& entry);

}  // namespace cbuild::sandbox::network
