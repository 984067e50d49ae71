// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"

/// Networks of steps that reach outside without being the machine's own: a network namespace each, and a way out of it.
namespace cbuild::sandbox::network {

/// The name that asks for the way that fits this machine; other names are those of CNI configurations.
inline constexpr const char* kSandbox = "sandbox";

struct Options {
  std::string name = kSandbox;
  std::vector<std::string> dns;           ///< name servers instead of the machine's
  std::vector<std::string> allowed = {};  ///< rules of EgressRules; empty: steps may connect to every host
  std::vector<std::string> hosts = {};    ///< "NAME=ADDRESS", "NAME=host-gateway": the names that steps know besides
  bool reach_host = false;                ///< steps may reach services of this machine under StepNetwork::host_gateway
  std::string ledger_directory;  ///< where processes and objects are noted that have to be removed; made if missing
  std::string resolv_conf = "/etc/resolv.conf";
  std::string cni_directory = "/etc/cni/net.d";
  std::vector<std::string> cni_plugins = {"/opt/cni/bin", "/usr/lib/cni"};
};

/// What a step needs to know of its network.
struct StepNetwork {
  int fd = -1;               ///< the network namespace
  std::string resolv_conf;   ///< content of the step's /etc/resolv.conf
  std::string host_gateway;  ///< the address of this machine; empty: it has none that the step can reach
};

/// The use of a network by one step; ends with the object, which must not outlive its Networks.
class Lease {
 public:
  virtual ~Lease() = default;
  virtual const StepNetwork& network() const = 0;
  /// Connections and names that a restricted network has refused since the last call, as text for people.
  virtual std::vector<std::string> take_refused() = 0;
  /// Nobody uses the namespace after this step: it may have been changed.
  virtual void discard() = 0;
};

/// The networks of one build. A namespace whose step has ended serves the next one of the same build: by then nothing
/// runs in it, and steps may not change what it is made of. Thread-safe.
class Networks {
 public:
  virtual ~Networks() = default;
  /// Throws Error.
  virtual std::unique_ptr<Lease> lease() = 0;
};

/// Finds out how steps can reach outside here; nothing is made before the first lease. Removes what dead builds have
/// left behind. Throws Error{unsupported} with the package to install if there is no way, Error{usage} for a name
/// that no CNI configuration has.
std::unique_ptr<Networks> open_networks(const Options& options);

/// The /etc/resolv.conf of steps: the given servers, else the machine's file at `path`.
std::string read_resolv_conf(const std::vector<std::string>& dns, const std::string& path = "/etc/resolv.conf");

/// The way that open_networks() would take, for people: "pasta", "nftables", "cni NAME". Throws as it does.
std::string describe_networks(const Options& options);

}  // namespace cbuild::sandbox::network
