// SPDX-License-Identifier: Apache-2.0
#include "cli/images/images_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cache/store.h"
#include "cli/flags/flags.h"
#include "cli/report/exit_codes.h"
#include "cli/report/text_output.h"
#include "engine/session.h"
#include "oci/reference.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShortDigest = 19;

void print_json(const std::vector<cache::Image>& images) {
  Json out = Json::array();
  for (const cache::Image& image : images)
    out.push_back(
        {{"name", image.name}, {"digest", image.manifest.str()}, {"created", format_rfc3339_ns(image.created_ns)}});
  std::cout << out.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void print_table(const std::vector<cache::Image>& images) {
  Table table({"NAME", "DIGEST", "CREATED"});
  for (const cache::Image& image : images)
    table.add(
        {image.name, image.manifest.str().substr(0, kShortDigest), format_rfc3339(image.created_ns / 1'000'000'000)});
  table.print(std::cout);
}

/// The name as it is in the store: as given (a name with a platform behind it), else as a reference is completed.
std::string stored_name(cache::Store& store, const std::string& given) {
  if (store.image(given)) return given;
  return oci::parse_reference(given).str();
}

int remove_names(cache::Store& store, const std::vector<std::string>& names) {
  int code = exit_code::kSuccess;
  for (const std::string& given : names) {
    const std::string name = stored_name(store, given);
    if (store.remove_image(name)) {
      std::cout << "removed: " << name << '\n';
    } else {
      std::cerr << "ERROR: no image '" << sanitize_for_terminal(given) << "' in the store\n";
      code = exit_code::kBuildFailed;
    }
  }
  return code;
}

}  // namespace

int images_command(Arguments arguments) {
  std::string root;
  bool json = false;
  std::vector<std::string> names;
  CLI::App app{"List the images kept in the store", "cbuild images"};
  app.fallthrough();
  app.add_flag("--json", json, "Print JSON");
  CLI::App* remove = app.add_subcommand("rm", "Remove names; content that only they needed goes with the next prune");
  remove->add_option("NAME", names, "Names as cbuild images prints them, or as they were given with -t")->required();
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(root);
  cache::Store store(engine::store_options(session, remove->parsed()));
  if (remove->parsed()) return remove_names(store, names);
  const std::vector<cache::Image> images = store.images();
  json ? print_json(images) : print_table(images);
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
