// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace cbuild::http {

/// The passwords and tokens in use, so that no message repeats one. Thread-safe.
class Secrets {
 public:
  void add(std::string_view secret);
  /// `text` with every known secret replaced by "***", safe for a terminal.
  std::string redact(std::string_view text) const;

 private:
  mutable std::mutex mutex_;
  std::set<std::string> known_;
};

}  // namespace cbuild::http
