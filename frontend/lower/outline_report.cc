// SPDX-License-Identifier: Apache-2.0
// The answers of --call (outline, targets, and the list of requests) as tables and as JSON. Names, order and spacing
// follow BuildKit, because tools read them.
#include "frontend/lower/outline_report.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/text.h"
#include "base/utf8.h"
#include "frontend/syntax/report_json.h"

namespace cbuild::frontend {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

struct Request {
  std::string_view name, description;
  bool takes_target;
  bool has_status;
};

constexpr std::array<Request, 4> kRequests = {{
    {"outline", "List all parameters current build target supports", true, false},
    {"targets", "List all targets current build supports", false, false},
    {"lint", "Lint a Dockerfile", false, true},
    {"subrequests.describe", "List available subrequest types", false, false},
}};
constexpr std::string_view kVersion = "1.0.0";

/// Columns as wide as their widest cell and `gap` blanks; the last one as it is.
std::string table(const std::vector<Row>& rows, std::size_t gap) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], count_runes(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] + gap - count_runes(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

/// Values and comments of a file are for a terminal, and one cell is one line.
std::string cell(const std::string& text) { return replace_all(sanitize_for_terminal(text), "\n", "^J"); }

std::string header_text(const Outline& outline) {
  if (outline.name.empty() && outline.description.empty()) return {};
  std::vector<Row> rows = {{"TARGET:", outline.name.empty() ? "(default)" : outline.name}};
  if (!outline.description.empty()) rows.push_back({"DESCRIPTION:", cell(outline.description)});
  return table(rows, 1) + "\n";
}

std::string mounts_text(std::string_view title, const std::vector<OutlineMount>& mounts) {
  if (mounts.empty()) return {};
  std::vector<Row> rows = {{std::string(title), "REQUIRED"}};
  for (const OutlineMount& mount : mounts) rows.push_back({cell(mount.id), mount.required ? "true" : ""});
  return table(rows, 3) + "\n";
}

void set_unless_empty(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}

Json mounts_json(const std::vector<OutlineMount>& mounts, const char* id_key, const SourceList& sources) {
  Json out = Json::array();
  for (const OutlineMount& mount : mounts) {
    Json entry = {{id_key, mount.id}};
    if (mount.required) entry["required"] = true;
    entry["location"] = location_json(mount.span, sources);
    out.push_back(std::move(entry));
  }
  return out;
}

Json sources_json(const SourceList& sources) {
  Json out = Json::array();
  for (const auto& source : sources) out.push_back(base64_encode(source->text()));
  return out;
}

Json names_json(const std::vector<std::string>& names) {
  Json out = Json::array();
  for (const std::string& name : names) out.push_back({{"name", name}, {"description", ""}});
  return out;
}

}  // namespace

std::string outline_text(const Outline& outline) {
  std::string out = header_text(outline);
  if (!outline.args.empty()) {
    std::vector<Row> rows = {{"BUILD ARG", "VALUE", "DESCRIPTION"}};
    for (const OutlineArg& arg : outline.args) rows.push_back({cell(arg.name), cell(arg.value), cell(arg.description)});
    out += table(rows, 3) + "\n";
  }
  out += mounts_text("SECRET", outline.secrets);
  out += mounts_text("SSH", outline.ssh);
  if (outline.caches.empty()) return out;
  std::vector<Row> rows = {{"CACHE MOUNT"}};
  for (const OutlineMount& cache : outline.caches) rows.push_back({cell(cache.id)});
  return out + table(rows, 3) + "\n";
}

std::string outline_json(const Outline& outline, const SourceList& sources) {
  Json out = Json::object();
  set_unless_empty(out, "name", outline.name);
  set_unless_empty(out, "description", outline.description);
  for (const OutlineArg& arg : outline.args) {
    Json entry = {{"name", arg.name}};
    set_unless_empty(entry, "description", arg.description);
    set_unless_empty(entry, "value", arg.value);
    entry["location"] = location_json(arg.span, sources);
    out["args"].push_back(std::move(entry));
  }
  if (!outline.secrets.empty()) out["secrets"] = mounts_json(outline.secrets, "name", sources);
  if (!outline.ssh.empty()) out["ssh"] = mounts_json(outline.ssh, "name", sources);
  if (!outline.caches.empty()) out["cache"] = mounts_json(outline.caches, "ID", sources);
  out["sources"] = sources_json(sources);
  return dump_json(out);
}

std::string targets_text(const std::vector<TargetInfo>& targets) {
  std::vector<Row> rows = {{"TARGET", "DESCRIPTION"}};
  for (const TargetInfo& target : targets) {
    std::string name = target.name;
    if (target.is_default) name += name.empty() ? "(default)" : " (default)";
    rows.push_back({name, cell(target.description)});
  }
  return table(rows, 1);
}

std::string targets_json(const std::vector<TargetInfo>& targets, const SourceList& sources) {
  Json out = {{"targets", Json::array()}};
  for (const TargetInfo& target : targets) {
    Json entry = Json::object();
    set_unless_empty(entry, "name", target.name);
    if (target.is_default) entry["default"] = true;
    set_unless_empty(entry, "description", target.description);
    set_unless_empty(entry, "base", target.base);
    set_unless_empty(entry, "platform", target.platform);
    entry["location"] = location_json(target.span, sources);
    out["targets"].push_back(std::move(entry));
  }
  out["sources"] = sources_json(sources);
  return dump_json(out);
}

std::string requests_text() {
  std::vector<Row> rows = {{"NAME", "VERSION", "DESCRIPTION"}};
  for (const Request& request : kRequests) {
    rows.push_back({std::string(request.name), std::string(kVersion), std::string(request.description)});
  }
  return table(rows, 1);
}

std::string requests_json() {
  Json out = Json::array();
  for (const Request& request : kRequests) {
    std::vector<std::string> metadata = {"result.json", "result.txt"};
    if (request.has_status) metadata.emplace_back("result.statuscode");
    Json options = Json::array();
    if (request.takes_target) options.push_back({{"name", "target"}, {"description", "Target build stage"}});
    out.push_back({{"name", cat("frontend.", request.name)},
                   {"version", kVersion},
                   {"type", "rpc"},
                   {"description", request.description},
                   {"opts", std::move(options)},
                   {"inputs", nullptr},
                   {"metadata", names_json(metadata)},
                   {"refs", nullptr}});
  }
  return dump_json(out);
}

}  // namespace cbuild::frontend
