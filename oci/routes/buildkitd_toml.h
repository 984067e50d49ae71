// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/http.h"
#include "base/http/url.h"
#include "oci/routes/route.h"

namespace cbuild::oci::routes {

/// One `[registry."HOST"]` of a buildkitd.toml.
struct BuildkitRegistry {
  std::string host;                ///< "docker.io", "mirror.example:5000"
  std::vector<http::Url> mirrors;  ///< their paths are the roots of the API
  std::optional<bool> http;        ///< plain http, or TLS even on loopback
  http::TlsConfig tls;             ///< without a certificate of ours
  std::vector<ClientPair> clients;

  bool operator==(const BuildkitRegistry&) const = default;
};

/// What a buildkitd.toml says of registries; all else there is about a daemon.
struct BuildkitFile {
  std::vector<BuildkitRegistry> registries;
  std::string file;

  /// Null if it does not name that host.
  const BuildkitRegistry* find(const std::string& host) const;
  bool operator==(const BuildkitFile&) const = default;
};

/// Certificates are read, relative ones from `directory`, and those of every `tlsconfigdir`. Throws Error{input}.
BuildkitFile parse_buildkitd_toml(std::string_view text, const std::string& file, const std::string& directory);

}  // namespace cbuild::oci::routes
