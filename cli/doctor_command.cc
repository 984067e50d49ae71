// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/report/exit_codes.h"
#include "engine/doctor.h"

namespace cbuild::cli {
namespace {

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

void print_json(const engine::Examination& examination) {
  nlohmann::ordered_json out{{"mode", to_string(examination.mode)}, {"findings", nlohmann::ordered_json::array()}};
  for (const engine::Finding& finding : examination.findings)
    out["findings"].push_back(
        {{"topic", finding.topic}, {"works", finding.works}, {"detail", finding.detail}, {"remedy", finding.remedy}});
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
  cache::Store store({.root = session.root, .user_xattr = session.user_xattr});
  const engine::Examination examination = engine::examine_machine(session, store);
  json ? print_json(examination) : print(examination);
  return examination.mode == sandbox::Mode::none ? exit_code::kInternal : exit_code::kSuccess;
}

}  // namespace cbuild::cli
