// SPDX-License-Identifier: Apache-2.0
// `cbuild history`: one table of subcommands over one struct of flags. Builds are rows of the store
// (engine/build_entry.h reads them); logs are files next to it. `rm` opens the store so that it works on a full disk.
#include "cli/history_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cli/flags/flags.h"
#include "cli/page/build_page.h"
#include "cli/page/show_page.h"
#include "cli/report/error_text.h"
#include "cli/report/exit_codes.h"
#include "cli/report/go_template.h"
#include "cli/report/history.h"
#include "cli/report/history_export.h"
#include "cli/report/text_output.h"
#include "cli/report/trace.h"
#include "cli/report/use_text.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

struct HistoryLine {
  std::vector<std::string> references, filters;
  std::string step, output, status, format, ignored;
  unsigned limit = cache::kKeptBuilds;
  bool json = false, all = false, raw = false, switched = false;
};

void print(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n'; }

std::string first_of(const std::vector<std::string>& references) {
  return references.empty() ? std::string() : references[0];
}

bool is_json(const HistoryLine& line) { return line.json || line.format == "json"; }

bool is_template(const HistoryLine& line) {
  return !line.format.empty() && line.format != "json" && line.format != "table" && line.format != "pretty";
}

/// "status=ok", as --status; buildx says "error" and "canceled".
std::string status_of(const HistoryLine& line) {
  std::string out = line.status;
  for (const std::string& filter : line.filters) {
    if (!filter.starts_with("status="))
      throw Error(ErrorCode::usage, cat("--filter: unknown filter '", filter, "'"))
          .with_hint("status=ok, status=failed");
    out = filter.substr(7);
    if (out == "completed") out = "ok";
    if (out == "error") out = "failed";
    if (out == "canceled") out = "cancelled";
  }
  return out;
}

int list(cache::Store& store, const HistoryLine& line) {
  const std::string status = status_of(line);
  std::vector<engine::BuildEntry> builds;
  for (const cache::Store::BuildSummary& summary : store.builds(line.limit))
    if (status.empty() || summary.status == status) builds.push_back(engine::from_summary(summary));
  if (is_template(line)) {
    for (const engine::BuildEntry& build : builds) std::cout << fill_template(line.format, to_json(build)) << '\n';
    return exit_code::kSuccess;
  }
  if (is_json(line)) {
    Json out = Json::array();
    for (const engine::BuildEntry& build : builds) {
      out.push_back(to_json(build));
      out.back().erase("steps");
    }
    print(out);
    return exit_code::kSuccess;
  }
  Table table({"BUILD", "NAME", "STATUS", "CREATED", "DURATION", "CACHED"});
  for (const engine::BuildEntry& build : builds)
    table.add({build.id, shorten(build.name, 40), build.status, format_ago(build.started_ns),
               format_seconds(build.finished_ns - build.started_ns), cat(build.steps_cached, "/", build.steps_total)});
  table.print(std::cout);
  return exit_code::kSuccess;
}

void print_field(const char* name, const std::string& value) {
  if (!value.empty())
    std::cout << name << std::string(14 - std::string_view(name).size(), ' ') << sanitize_for_terminal(value) << '\n';
}

int inspect(cache::Store& store, const HistoryLine& line) {
  const engine::BuildEntry build = find_build(store, first_of(line.references));
  if (is_template(line)) {
    std::cout << fill_template(line.format, to_json(build)) << '\n';
    return exit_code::kSuccess;
  }
  if (is_json(line)) {
    print(to_json(build));
    return exit_code::kSuccess;
  }
  print_field("Build:", build.id);
  print_field("Name:", build.name);
  print_field("Status:", build.status);
  print_field("Context:", build.context);
  print_field("Dockerfile:", build.dockerfile);
  print_field("Target:", build.target);
  print_field("Arguments:", join(build.arguments, ", "));
  print_field("Started:", format_rfc3339(build.started_ns / 1'000'000'000));
  print_field("Duration:", format_seconds(build.finished_ns - build.started_ns));
  print_field("Image:", build.image);
  print_field("Error:", build.error);
  std::cout << '\n';
  Table table({"#", "STEP", "STATE", "DURATION", "CPU", "MEMORY", "CRITICAL", "WHY"});
  unsigned number = 0;
  for (const engine::StepEntry* step : shown_steps(build))
    table.add({std::to_string(++number), shorten(step->name, 50), step->state,
               step->duration_ns == 0 ? std::string("-") : format_seconds(step->duration_ns), cpu_text(step->use),
               memory_text(step->use), step->critical ? format_seconds(step->path_ns) : std::string("-"),
               shorten(why(*step), 90)});
  table.print(std::cout);
  return exit_code::kSuccess;
}

int logs(cache::Store& store, const HistoryLine& line) {
  const engine::BuildEntry build = find_build(store, first_of(line.references));
  const auto steps = line.step.empty() ? shown_steps(build) : find_steps(build, line.step);
  for (const engine::StepEntry* step : steps) {
    std::string text = read_log(store, *step);
    if (line.json) {
      print({{"id", step->id}, {"name", step->name}, {"log", text}});
      continue;
    }
    if (text.empty() && !step->log.empty()) text = "[cbuild: the log was removed to make room]\n";
    if (text.empty() && line.step.empty()) continue;
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    std::cout << "#" << step->id << " " << sanitize_for_terminal(step->name) << '\n'
              << (line.raw ? text : sanitize_for_terminal(text));
  }
  return exit_code::kSuccess;
}

/// To a file, or to stdout without one.
int write_result(const cache::Store& store, const HistoryLine& line, const std::string& text) {
  if (line.output.empty() || line.output == "-") {
    std::cout << text;
    return exit_code::kSuccess;
  }
  try {
    write_output_file(line.output, text);
  } catch (const Error& error) {
    std::cerr << error_text(error, store.root());
    return exit_code::kExportFailed;
  }
  return exit_code::kSuccess;
}

/// One build, in the format that is asked for.
Json exported(cache::Store& store, const HistoryLine& line, const engine::BuildEntry& build) {
  if (line.format == "chrome-trace") return chrome_trace(build);
  if (line.format == "otlp") return otlp_trace(build, {});
  return export_build(store, build);
}

int export_builds(cache::Store& store, const HistoryLine& line) {
  Json out;
  if (line.all) {
    out = Json::array();
    for (const cache::Store::BuildSummary& summary : store.builds(cache::kKeptBuilds))
      out.push_back(exported(store, line, engine::from_summary(summary)));
  } else if (line.references.size() > 1) {
    out = Json::array();
    for (const std::string& reference : line.references)
      out.push_back(exported(store, line, find_build(store, reference)));
  } else {
    out = exported(store, line, find_build(store, first_of(line.references)));
  }
  return write_result(store, line, out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

int open_page(cache::Store& store, const HistoryLine& line) {
  const engine::BuildEntry build = find_build(store, first_of(line.references));
  const std::string page = page_of(page_document(store, build));
  if (!line.output.empty()) return write_result(store, line, page);
  const std::string file = write_new_page(build.id, page);
  std::cout << file << '\n' << std::flush;
  show_page(file);
  return exit_code::kSuccess;
}

int remove(cache::Store& store, const HistoryLine& line) {
  std::vector<std::string> ids;
  if (line.all)
    for (const cache::Store::BuildSummary& summary : store.builds(1000)) ids.push_back(summary.id);
  for (const std::string& reference : line.references) ids.push_back(find_build(store, reference).id);
  if (ids.empty() && !line.all)
    throw Error(ErrorCode::usage, "history rm: which build?").with_hint("give ids or references like ^1, or --all");
  std::cout << "removed: " << cache::remove_builds(store, ids) << '\n';
  return exit_code::kSuccess;
}

struct Subcommand {
  const char* name;
  const char* summary;
  int (*run)(cache::Store&, const HistoryLine&);
  CLI::App* app = nullptr;
};

void add_references(CLI::App* app, HistoryLine& line) {
  app->add_option("BUILD", line.references,
                  "Id or its beginning, or ^N: N builds before the last (default: the last one)");
}

/// Flags of buildx that ask for nothing here, out of the help's sight.
void add_foreign_flags(CLI::App& ls, CLI::App& logs, CLI::App& exporting, HistoryLine& line) {
  for (const char* name : {"--no-trunc", "--local"}) ls.add_flag(name, line.switched, "Without effect")->group("");
  logs.add_option("--progress", line.ignored, "Without effect")->group("");
  exporting.add_flag("--finalize", line.switched, "Without effect")->group("");
}

}  // namespace

int history_command(Arguments arguments) {
  HistoryLine line;
  std::string root;
  CLI::App app{"Show the builds of this store", "cbuild history"};
  Subcommand commands[] = {
      {"ls", "List builds, the newest first (the default)", list},
      {"inspect", "One build: its steps, their times, and why they ran", inspect},
      {"logs", "The output of the steps of a build", logs},
      {"open", "One build as a page: timeline, graph, reasons, logs, layers", open_page},
      {"export", "Builds as one self-contained JSON document, with logs and key parts", export_builds},
      {"rm", "Forget builds and their logs", remove}};
  app.fallthrough();
  for (Subcommand& command : commands) command.app = app.add_subcommand(command.name, command.summary);
  const auto at = [&](std::size_t i) { return commands[i].app; };
  app.require_subcommand(0, 1);
  app.add_flag("--json", line.json, "Print JSON");
  for (std::size_t i : {1u, 2u, 3u, 4u, 5u}) add_references(at(i), line);
  for (std::size_t i : {0u, 1u, 2u}) at(i)->add_flag("--json", line.json, "Print JSON");
  at(0)->add_option("--limit", line.limit, "Show at most so many");
  at(0)
      ->add_option("--status", line.status, "Only builds that ended so")
      ->check(CLI::IsMember({"ok", "failed", "cancelled", "export-failed"}));
  at(0)->add_option("--filter", line.filters, "status=NAME, as --status")->allow_extra_args(false);
  for (std::size_t i : {0u, 1u}) at(i)->add_option("--format", line.format, "table, json, or a Go template");
  at(2)->add_option("--step", line.step, "Only this step: number, stage, :LINE or a part of the name");
  at(2)->add_flag("--raw", line.raw, "Control characters as they came");
  at(3)->add_option("-o,--output", line.output, "File to write, - for stdout (default: a new one, shown in a browser)");
  at(4)->add_option("-o,--output", line.output, "File to write (default: stdout)");
  at(4)
      ->add_option("--format", line.format, "json (the default), chrome-trace or otlp")
      ->check(CLI::IsMember({"json", "chrome-trace", "otlp"}));
  for (std::size_t i : {4u, 5u}) at(i)->add_flag("--all", line.all, "All builds");
  add_foreign_flags(*at(0), *at(2), *at(4), line);
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(root);
  cache::Store store(engine::store_options(session, at(5)->parsed()));
  for (const Subcommand& command : commands)
    if (command.app->parsed()) return command.run(store, line);
  return list(store, line);
}

}  // namespace cbuild::cli
