// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/http/limits.h"
#include "base/process/subprocess.h"

namespace cbuild::solver::ops {

/// Runs the git program with nothing of its surroundings: no system's or user's configuration, no hooks, no templates,
/// no prompts, no helpers; transports from a list; credentials through the environment, never as arguments.
class GitProgram {
 public:
  struct Place {
    std::string git_dir;    ///< --git-dir; empty: none
    std::string work_tree;  ///< also the working directory; empty: none
  };

  /// A transfer that is slower than `limits` allow ends, over any transport (git_pace.h); the variables of git about
  /// slow transfers beat them. ssh gives up on a host that does not answer.
  GitProgram(const CancelSource* cancel, const http::TransferLimits& limits);

  /// One more "key = value" for every command.
  void configure(std::string key, std::string value) { config_.emplace_back(std::move(key), std::move(value)); }
  /// The header is sent to URLs that begin with `scope` only; redirects end in an error then, as git would take it
  /// along.
  void authorize(const std::string& scope, const std::string& header);
  /// Host keys are those of the user and of the system; the key of a host that neither knows is taken the first time
  /// and kept in the file `known_hosts`, and has to be the same from then on.
  void use_ssh(std::string agent_socket, std::string known_hosts);

  /// Never throws for an exit code of git; Error{not_found} with a hint when there is no git, {cancelled}, {io} at the
  /// timeout, {network} for a server that is too slow.
  CommandResult try_run(const std::vector<std::string>& arguments, const Place& place) const;
  /// stdout; throws Error for an exit code other than 0, with git's message and no credential.
  std::string run(const std::vector<std::string>& arguments, const Place& place) const;
  /// The Error for a failed command: {denied} for authentication, {not_found}, {network}.
  [[noreturn]] void fail(const CommandResult& result, const std::string& doing) const;

 private:
  std::vector<std::string> environment() const;
  std::string redact(std::string text) const;

  const CancelSource* cancel_;
  const std::chrono::seconds connect_;
  const std::uint64_t rate_;
  const std::chrono::seconds window_;
  std::vector<std::pair<std::string, std::string>> config_;
  std::vector<std::string> secrets_;
  std::string agent_socket_, known_hosts_;
  bool authorized_ = false;
};

}  // namespace cbuild::solver::ops
