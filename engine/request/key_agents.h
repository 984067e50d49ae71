// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/request/request.h"

namespace cbuild::engine {

/// The text of a private key's file. Throws Error{usage}, with `flag` in its message, where there is none.
std::string read_private_key(const std::string& flag, const std::string& path);

/// The agents that serve private keys to the steps: one ssh-agent(1) for each id, in a directory of its own below
/// $TMPDIR, until the object dies. Keys are handed over on stdin, so their files' modes do not matter.
class KeyAgents {
 public:
  KeyAgents();
  ~KeyAgents();
  KeyAgents(const KeyAgents&) = delete;
  KeyAgents& operator=(const KeyAgents&) = delete;

  /// `sources`, with a socket each; agents for those that have keys are started now, with `environment`. Throws
  /// Error{unsupported} where openssh's programs are missing, Error{input} for a key that they do not take.
  std::vector<SshSource> serve(const std::vector<SshSource>& sources, const std::vector<std::string>& environment);

 private:
  struct Agent;
  std::vector<std::unique_ptr<Agent>> agents_;
};

}  // namespace cbuild::engine
