// SPDX-License-Identifier: Apache-2.0
#include "cli/images/registry_flags.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/text.h"
#include "cli/flags/registry_files.h"

namespace cbuild::cli {

void RegistryFlags::add_to(CLI::App& app) {
  app.add_option("--insecure-registry", insecure, "HOST[:PORT] to reach without verified TLS")
      ->type_name("HOST")
      ->allow_extra_args(false);
  app.add_option("--authfile", auth_file, "Registry credentials instead of docker's and podman's files");
}

oci::registry::Options RegistryFlags::options(const CancelSource& cancel) const {
  oci::registry::Options out;
  out.insecure = insecure;
  out.auth_file = auth_file;
  out.files = registry_files();
  out.limits = http::transfer_limits_of_environment();
  out.cancel = &cancel;
  out.warn = [](const std::string& text) { std::cerr << "warning: " << sanitize_for_terminal(text) << '\n'; };
  return out;
}

}  // namespace cbuild::cli
