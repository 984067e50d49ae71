// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "oci/platform.h"

namespace cbuild::frontend {

/// A replacement of a stage or an image: --build-context.
struct NamedContext {
  enum class Kind { image, layout, local, git, http } kind = Kind::image;
  std::string name;   ///< as the lookup found it, with "::platform" if the user gave one
  std::string value;  ///< as given: "docker-image://x", "oci-layout://...", "local:/dir", a remote

  bool operator==(const NamedContext&) const = default;
};

/// The named contexts of a build, found by stage name or image reference.
class NamedContexts {
 public:
  /// Names are image references; their familiar form without ":latest" counts. A name may end in "::os/arch".
  explicit NamedContexts(const std::map<std::string, std::string>& contexts);

  /// The context for this platform if there is one, else the one for any. "scratch" and "context" have none.
  /// Throws Error{input} for a value of no known kind.
  std::optional<NamedContext> find(std::string_view name, const oci::Platform& platform) const;

 private:
  std::map<std::string, std::string> values_;  // by canonical name
};

/// "docker.io/library/busybox:latest" -> "busybox"; a text that is not a reference stays as it is.
std::string familiar_name(std::string_view name);

/// Sorts out the value of a context. Throws Error{input}.
NamedContext make_named_context(const std::string& name, const std::string& value);

}  // namespace cbuild::frontend
