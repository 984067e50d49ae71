// SPDX-License-Identifier: Apache-2.0
#include "cli/prune_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cache/gc/gc.h"
#include "cli/du_command.h"
#include "cli/flags/cache_filters.h"
#include "cli/flags/flags.h"
#include "cli/report/exit_codes.h"
#include "cli/report/text_output.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

struct PruneLine {
  std::string root, max_used, min_free, reserved, age;
  std::vector<std::string> filters;
  bool all = false, defaults = false, force = false, dry_run = false, verbose = false, json = false;
};

std::optional<std::uint64_t> size_of(const std::string& flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto size = parse_size(text);
  if (!size)
    throw Error(ErrorCode::usage, cat(flag, ": '", text, "' is not a size")).with_hint("for example 10GB or 512m");
  return size;
}

void describe(CLI::App& app, PruneLine& line) {
  app.add_flag("-a,--all", line.all, "Also the content of named images; images that have lost something are forgotten");
  app.add_flag("-f,--force", line.force, "Do not ask");
  app.add_flag("--dry-run", line.dry_run, "Only list the items that would go");
  app.add_flag("--verbose", line.verbose, "List the removed items, and why");
  app.add_flag("--json", line.json, "Print JSON; implies --force");
  app.add_flag("--defaults", line.defaults, "Apply the rules of the automatic gc now");
  app.add_option("--filter", line.filters,
                 "KEY[=VALUE]: id, type, description, parents, inuse, mutable, immutable, shared, private, until")
      ->allow_extra_args(false);
  app.add_option("--until", line.age, "Only items that were not used for that long (24h, 7d)")->type_name("AGE");
  app.add_option("--max-used-space,--keep-storage", line.max_used, "Stop when the store holds no more than that")
      ->type_name("SIZE");
  app.add_option("--min-free-space", line.min_free, "Stop when that much of the disk is free")->type_name("SIZE");
  app.add_option("--reserved-space", line.reserved, "Never go below that, whatever the other limits ask for")
      ->type_name("SIZE");
}

std::vector<cache::PruneOptions> rules(const PruneLine& line, cache::Store& store) {
  if (line.defaults) {
    std::vector<cache::PruneOptions> defaults = cache::default_limits(store);
    for (cache::PruneOptions& rule : defaults) rule.dry_run = line.dry_run;
    return defaults;
  }
  const CacheFilters filters = parse_cache_filters(line.filters);
  cache::PruneOptions options;
  options.all = line.all;
  options.dry_run = line.dry_run;
  options.wanted = filters.matches;
  if (filters.by_type) options.kinds = {"layer", "blob", "cachemount", "scan", "log", "index"};
  options.unused_for_ns = filters.unused_for_ns;
  if (!line.age.empty()) options.unused_for_ns = parse_age("--until", line.age);
  options.max_used_bytes = size_of("--max-used-space", line.max_used);
  options.min_free_bytes = size_of("--min-free-space", line.min_free);
  options.reserved_bytes = size_of("--reserved-space", line.reserved);
  return {options};
}

std::string question(const PruneLine& line) {
  const std::string what = line.all ? "everything that no live build uses, images included"
                                    : "everything that no live build uses and no named image needs";
  return cat("WARNING! This will remove ", what, ". Are you sure you want to continue? [y/N] ");
}

void report(const PruneLine& line, const std::vector<cache::Usage::Item>& removed) {
  std::uint64_t bytes = 0;
  for (const cache::Usage::Item& item : removed) bytes += item.bytes;
  if (line.json) {
    Json out{{"removed", Json::array()}, {"bytes", bytes}, {"dry_run", line.dry_run}};
    for (const cache::Usage::Item& item : removed) out["removed"].push_back(to_json(item));
    std::cout << out.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
    return;
  }
  if (line.verbose) {
    Table table({"ID", "TYPE", "SIZE", "DESCRIPTION", "WHY"});
    for (const cache::Usage::Item& item : removed)
      table.add({item.id.substr(0, 12), item.kind, format_size(item.bytes), shorten(item.description, 50), item.why});
    table.print(std::cout);
  } else if (!removed.empty()) {
    print_items(std::cout, removed, false);
  }
  std::cout << (line.dry_run ? "Would reclaim: " : "Total: ") << format_size(bytes) << '\n';
}

}  // namespace

int prune_command(Arguments arguments) {
  PruneLine line;
  CLI::App app{"Remove build cache that is not in use", "cbuild prune"};
  describe(app, line);
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(line.root);
  cache::Store store(engine::store_options(session, !line.dry_run));
  const std::vector<cache::PruneOptions> wanted = rules(line, store);
  if (!line.force && !line.dry_run && !line.json && !confirm(question(line))) return exit_code::kSuccess;
  std::vector<cache::Usage::Item> removed;
  for (const cache::PruneOptions& rule : wanted)
    for (cache::Usage::Item& item : cache::prune(store, rule)) removed.push_back(std::move(item));
  for (const std::string& note : store.notes()) std::cerr << sanitize_for_terminal(note) << '\n';
  report(line, removed);
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
