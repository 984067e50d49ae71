// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/options.h"

namespace cbuild::cli {

/// Checks that `path` holds a private key that can be used without a passphrase. Throws Error{usage}; `flag` names the
/// flag.
void check_ssh_key(const std::string& flag, const std::string& path);

/// The agents that serve the keys of `--ssh ID=KEY`: one ssh-agent(1) for each id, in a directory of its own below
/// $TMPDIR, until the object dies. Keys are handed over on stdin, so their files' modes do not matter.
class KeyAgents {
 public:
  KeyAgents();
  ~KeyAgents();
  KeyAgents(const KeyAgents&) = delete;
  KeyAgents& operator=(const KeyAgents&) = delete;

  /// The agents of `options`, with a socket each; those that have keys are started now. Throws Error{unsupported} where
  /// openssh's programs are missing, Error{input} for a key that they do not take.
  std::vector<SshOption> serve(const std::vector<SshOption>& options);

 private:
  struct Agent;
  std::vector<std::unique_ptr<Agent>> agents_;
};

}  // namespace cbuild::cli
