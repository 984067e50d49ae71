// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::oci {

/// OCI image-spec, image-index.md "platform". Names are GOOS and GOARCH values.
struct Platform {
  std::string os = "linux", architecture, variant, os_version;
  std::vector<std::string> os_features;

  bool operator==(const Platform&) const = default;
  /// "linux/arm64/v8".
  std::string str() const;
};

/// Parses "os[/arch[/variant]]", "arch" and the aliases that containerd knows (x86_64, aarch64, armhf, ...),
/// normalised (arm64/v8 -> arm64, arm -> arm/v7). "local" is the host. nullopt for anything else.
std::optional<Platform> parse_platform(std::string_view text);
Platform host_platform();
/// Drops the variants that are the default of their architecture, maps aliases (containerd
/// platforms.Normalize).
Platform normalize(Platform platform);

/// How well an image of platform `image` serves a request for `wanted`: 0 = not at all, higher is better; the
/// exact match is best, lower arm variants and amd64 levels serve higher ones.
int match_score(const Platform& wanted, const Platform& image);

}  // namespace cbuild::oci
