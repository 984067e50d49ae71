// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace cbuild::oci {

/// A normalised image reference: "docker.io/library/busybox:1.36@sha256:...". Grammar:
/// distribution/reference.
struct Reference {
  std::string registry;    ///< "docker.io", "localhost:5000"
  std::string repository;  ///< "library/busybox"
  std::string tag;         ///< "latest" when the text had neither tag nor digest; empty when it had only a digest
  std::optional<Digest> digest;
  std::string sha512;  ///< "sha512:<hex>" instead of `digest`, or empty

  bool operator==(const Reference&) const = default;
  /// Registry, repository, tag and digest, as in the comment above.
  std::string str() const;
  /// As a person writes it: docker.io and library/ dropped ("busybox:1.36").
  std::string familiar() const;
  /// "registry/repository".
  std::string name() const { return registry + "/" + repository; }
};

/// Throws Error{input} with the reason ("repository name must be lowercase").
Reference parse_reference(std::string_view text);

}  // namespace cbuild::oci
