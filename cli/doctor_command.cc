// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/flags/registry_files.h"
#include "cli/report/exit_codes.h"
#include "engine/doctor.h"
#include "oci/routes/routes.h"

namespace cbuild::cli {
namespace {

using Registries = std::vector<oci::routes::Described>;

void print(const Registries& registries) {
  if (!registries.empty()) std::cout << "\nregistries\n";
  for (const oci::routes::Described& registry : registries)
    std::cout << "  " << sanitize_for_terminal(cat(registry.registry, ": ", registry.text, "  (", registry.file, ")"))
              << '\n';
}

void print(const engine::Examination& examination) {
  const bool runs = examination.mode != sandbox::Mode::none;
  std::cout << (runs ? cat("steps run in mode ", to_string(examination.mode)) : "no command can be run") << "\n\n"
            << std::left;
  for (const engine::Finding& finding : examination.findings) {
    std::cout << "  " << (finding.works ? "yes " : "no  ") << std::setw(16) << finding.topic
              << sanitize_for_terminal(finding.detail) << '\n';
    if (!finding.remedy.empty())
      std::cout << std::setw(22) << ""
                << "-> " << sanitize_for_terminal(finding.remedy) << '\n';
  }
}

void print_json(const engine::Examination& examination, const Registries& registries) {
  nlohmann::ordered_json out{{"mode", to_string(examination.mode)}, {"findings", nlohmann::ordered_json::array()}};
  for (const engine::Finding& finding : examination.findings)
    out["findings"].push_back(
        {{"topic", finding.topic}, {"works", finding.works}, {"detail", finding.detail}, {"remedy", finding.remedy}});
  out["registries"] = nlohmann::ordered_json::array();
  for (const oci::routes::Described& registry : registries)
    out["registries"].push_back({{"registry", registry.registry}, {"text", registry.text}, {"file", registry.file}});
  std::cout << out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

}  // namespace

int doctor_command(Arguments arguments) {
  std::string root;
  bool json = false;
  CLI::App app{"Try what this machine lets steps have, and name the setting that would give more", "cbuild doctor"};
  app.add_flag("--json", json, "Print JSON");
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(root);
  cache::Store store(engine::store_options(session));
  const engine::Examination examination = engine::examine_machine(session, store);
  const Registries registries = oci::routes::Routes(registry_files()).describe();
  if (json) {
    print_json(examination, registries);
  } else {
    print(examination);
    print(registries);
  }
  return examination.mode == sandbox::Mode::none ? exit_code::kInternal : exit_code::kSuccess;
}

}  // namespace cbuild::cli
