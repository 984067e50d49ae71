// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

namespace cbuild::exporter {

/// A socket of this process that leads through ssh to the engine of another machine: each connection to it is one
/// `ssh ... docker system dial-stdio`. All of them end with it.
class EngineDial {
 public:
  /// "ssh://[USER@]HOST[:PORT][/SOCKET]". Throws Error{usage} for anything else.
  explicit EngineDial(const std::string& url);
  ~EngineDial();

  const std::string& path() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::exporter
