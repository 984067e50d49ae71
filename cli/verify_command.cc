// SPDX-License-Identifier: Apache-2.0
#include "cli/verify_command.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/process/interrupts.h"
#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/flags/registry_files.h"
#include "cli/flags/sign_options.h"
#include "cli/report/exit_codes.h"
#include "engine/request/verify.h"

namespace cbuild::cli {

int verify_command(Arguments arguments) {
  std::string root;
  std::vector<std::string> keys;
  engine::VerifyRequest request;
  CLI::App app{"Check that an image in a registry is signed by one of the given keys", "cbuild verify"};
  app.add_option("image", request.reference, "Name of the image")->type_name("REF")->required();
  app.add_option("--key", keys, "Public key in PEM: FILE, or env://NAME; repeated: one of them has to have signed")
      ->required()
      ->allow_extra_args(false);
  app.add_option("--insecure-registry", request.insecure_registries, "HOST[:PORT] to reach without verified TLS")
      ->type_name("HOST")
      ->allow_extra_args(false);
  app.add_option("--authfile", request.auth_file, "Registry credentials instead of docker's and podman's files");
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  request.registry_files = registry_files();
  request.transfer_limits = http::transfer_limits_of_environment();
  for (const std::string& key : keys) request.keys.push_back(supply::PublicKey::parse(read_key("--key", key), key));
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  const engine::VerifyResult result = engine::verify_image(request, cancel);
  if (!result.key) {
    std::cerr << "ERROR: no signature of " << sanitize_for_terminal(request.reference) << " (" << result.digest.str()
              << ") is by " << (keys.size() == 1 ? "this key" : "one of these keys") << '\n';
    return exit_code::kBuildFailed;
  }
  std::cout << result.digest.str() << " is signed by " << sanitize_for_terminal(keys[*result.key]) << " as "
            << sanitize_for_terminal(join(result.repositories, ", ")) << '\n';
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
