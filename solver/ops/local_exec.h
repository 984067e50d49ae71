// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "sandbox/binfmt.h"
#include "sandbox/network/networks.h"
#include "sandbox/runner.h"
#include "sandbox/spec.h"
#include "solver/ops/exec_backend.h"

namespace cbuild::solver::ops {

/// A secret or an agent socket the user offered, by id.
struct Secret {
  std::string id;
  std::function<std::string()> read;  ///< the value; called when a step needs it. Throws Error.
};
struct SshAgent {
  std::string id, socket_path;
};

/// Where a fresh cache mount may have content, by cache_mount_key(); nullopt: nowhere.
using CacheMountContent = std::function<std::optional<cache::Layer>(const std::string& key)>;

/// How commands are run on this machine.
struct LocalExecSettings {
  /// Makes the runner on first use, so that a cached build never probes the machine. Throws Error{unsupported}.
  std::function<sandbox::Runner&()> runner;
  std::vector<Secret> secrets = {};
  std::vector<SshAgent> ssh_agents = {};
  /// Asked for a secret, or the socket of an agent, that the lists do not have; nullopt: there is none. Throw Error.
  std::function<std::optional<std::string>(const std::string& id)> other_secret = {}, other_agent = {};
  CacheMountContent mount_content = [](const std::string&) { return std::nullopt; };
  std::vector<std::string> dns = {};                       ///< overrides resolv.conf
  std::optional<sandbox::network::Options> networks = {};  ///< of commands with a network of their own
  std::string ca_certificates = {};                        ///< PEM; commands trust them besides those of their own root
  std::vector<std::string> allow = {};  ///< entitlements; those for devices are checked here, others before the build
  std::vector<std::string> cdi_directories = {};  ///< where descriptions of devices lie; empty: the usual places
  Resources resources = {};                       ///< limits of each step
  sandbox::confine::Security security = {};       ///< rights of each step that is not insecure
  bool user_xattr = false;                        ///< as of the store
  std::string binfmt_directory = sandbox::kBinfmtDirectory;
};

/// The backend that runs commands in sandboxes on the trees of the store.
MakeExecBackend local_exec(LocalExecSettings settings);

}  // namespace cbuild::solver::ops
