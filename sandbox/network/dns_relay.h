// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace cbuild::sandbox::network {

/// The name servers of a resolv.conf; 127.0.0.1 where it has none (resolv.conf(5)).
std::vector<std::string> name_servers(const std::string& resolv_conf);

/// Those that listen on the machine's own loopback device: no other namespace reaches them.
std::vector<std::string> loopback_servers(const std::string& resolv_conf);

/// Answers at the addresses of such servers in another network namespace, by asking the machine's own: UDP and TCP,
/// with bounded numbers of questions and connections. Ends with the object.
class DnsRelay {
 public:
  /// Throws Error.
  DnsRelay(int name_space, const std::vector<std::string>& servers);
  ~DnsRelay();
  DnsRelay(const DnsRelay&) = delete;
  DnsRelay& operator=(const DnsRelay&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::sandbox::network
