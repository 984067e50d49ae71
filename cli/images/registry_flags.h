// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "oci/registry/client.h"

namespace CLI {
class App;
}

namespace cbuild::cli {

/// The flags of commands that talk to registries without a build.
struct RegistryFlags {
  std::vector<std::string> insecure;
  std::optional<std::string> auth_file;

  /// Adds the flags. Must outlive the parse.
  void add_to(CLI::App& app);
  /// Options of a client that warns on stderr. `cancel` is borrowed.
  oci::registry::Options options(const CancelSource& cancel) const;
};

}  // namespace cbuild::cli
