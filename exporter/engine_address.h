// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/http/http.h"

namespace cbuild::exporter {

/// How an engine is reached. URLs: unix://PATH, tcp://HOST:PORT, http://, https://, ssh://[USER@]HOST[:PORT][/SOCKET]
/// for engines with docker's API; containerd://SOCKET[?namespace=NAME].
struct EngineAddress {
  std::string url = "unix:///var/run/docker.sock";
  http::TlsConfig tls;  ///< of tcp:// with certificates, and https://
  bool has_tls = false;
  std::string source;  ///< that named it: "DOCKER_HOST", "context remote"; empty: the default

  bool operator==(const EngineAddress&) const = default;
  /// "unix:///run/user/0/docker.sock (context rootless)": for messages.
  std::string text() const { return source.empty() ? url : url + " (" + source + ")"; }
};

}  // namespace cbuild::exporter
