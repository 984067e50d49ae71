// SPDX-License-Identifier: Apache-2.0
// `cbuild du`: the items of the store (cache/gc), the largest first, as a table, in full or as JSON. The columns tell
// why an item cannot be reclaimed: a live build uses it, a named image needs it, or the history keeps it.
#include "cli/du_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/sys.h"
#include "base/text.h"
#include "cli/flags/cache_filters.h"
#include "cli/flags/flags.h"
#include "cli/report/exit_codes.h"
#include "cli/report/text_output.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

using cache::Usage;
using Json = nlohmann::ordered_json;

constexpr std::size_t kShortId = 12, kDescription = 60;

std::string time_text(std::int64_t ns) { return ns == 0 ? std::string("-") : format_rfc3339(ns / 1'000'000'000); }

void print_item(std::ostream& out, const Usage::Item& item) {
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty())
      out << name << std::string(16 - std::string_view(name).size(), ' ') << sanitize_for_terminal(value) << '\n';
  };
  line("ID:", item.id);
  line("Type:", item.kind);
  line("Parent:", item.parent);
  line("Description:", item.description);
  line("Size:", format_size(item.bytes));
  line("Created at:", time_text(item.created_ns));
  line("Last used:", time_text(item.last_used_ns));
  line("In use:", item.in_use ? "true" : "false");
  line("Needed by image:", item.shared ? "true" : "false");
  line("Mutable:", item.is_mutable() ? "true" : "false");
  line("Why:", item.why);
  out << '\n';
}

struct Totals {
  std::uint64_t shared = 0, own = 0, reclaimable = 0;
};

Totals sum(const std::vector<Usage::Item>& items) {
  Totals totals;
  for (const Usage::Item& item : items) {
    (item.shared ? totals.shared : totals.own) += item.bytes;
    if (item.is_reclaimable()) totals.reclaimable += item.bytes;
  }
  return totals;
}

void print_totals(const Totals& totals) {
  std::cout << "Needed by images:  " << format_size(totals.shared) << "\nOther:             " << format_size(totals.own)
            << "\nReclaimable:       " << format_size(totals.reclaimable)
            << "\nTotal:             " << format_size(totals.shared + totals.own) << '\n';
}

}  // namespace

Json to_json(const Usage::Item& item) {
  Json json{{"id", item.id}, {"type", item.kind}, {"reference_type", reference_type(item)}};
  if (!item.parent.empty()) json["parent"] = item.parent;
  json["description"] = item.description;
  json["size"] = item.bytes;
  json["created"] = time_text(item.created_ns);
  json["last_used"] = time_text(item.last_used_ns);
  json["in_use"] = item.in_use;
  json["shared"] = item.shared;
  json["mutable"] = item.is_mutable();
  json["reclaimable"] = item.is_reclaimable();
  if (!item.why.empty()) json["why"] = item.why;
  return json;
}

void print_items(std::ostream& out, const std::vector<Usage::Item>& items, bool verbose) {
  if (verbose) {
    for (const Usage::Item& item : items) print_item(out, item);
    return;
  }
  Table table({"ID", "TYPE", "RECLAIMABLE", "SIZE", "LAST USED", "DESCRIPTION"});
  for (const Usage::Item& item : items)
    table.add({item.id.substr(0, kShortId), item.kind,
               item.in_use             ? "in use"
               : item.shared           ? "image"
               : item.is_reclaimable() ? "true"
                                       : "history",
               format_size(item.bytes), format_ago(item.last_used_ns), shorten(item.description, kDescription)});
  table.print(out);
}

int du_command(Arguments arguments) {
  std::string root, format;
  std::vector<std::string> filter_texts;
  bool verbose = false, json = false;
  CLI::App app{"Show the contents of the store by their real size on disk", "cbuild du"};
  app.add_option("--filter", filter_texts,
                 "KEY[=VALUE]: id, type, description, parents, inuse, mutable, immutable, shared, private, until")
      ->allow_extra_args(false);
  app.add_option("--format", format, "json: one object, as --json")->check(CLI::IsMember({"json", "table"}));
  app.add_flag("--verbose", verbose, "Show every field of each item");
  app.add_flag("--json", json, "Print JSON");
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  const CacheFilters filters = parse_cache_filters(filter_texts);
  const engine::Session session = engine::start_session(root);
  cache::Store store(engine::store_options(session));
  Usage usage = cache::disk_usage(store);
  const std::int64_t now = sys::now_ns();
  std::erase_if(usage.items, [&](const Usage::Item& item) {
    return (filters.matches && !filters.matches(item)) ||
           (filters.unused_for_ns && item.last_used_ns > now - *filters.unused_for_ns);
  });
  std::stable_sort(usage.items.begin(), usage.items.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  const Totals totals = sum(usage.items);
  if (json || format == "json") {
    Json out{{"items", Json::array()}, {"total", totals.shared + totals.own}, {"reclaimable", totals.reclaimable}};
    for (const Usage::Item& item : usage.items) out["items"].push_back(to_json(item));
    std::cout << out.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
    return exit_code::kSuccess;
  }
  print_items(std::cout, usage.items, verbose);
  if (!verbose) std::cout << '\n';
  print_totals(totals);
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
