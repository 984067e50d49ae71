// SPDX-License-Identifier: Apache-2.0
// In the index a step is an object that leaves out what is at its default: a build with nothing to do writes one row of
// some hundred bytes a step.
#include "cli/build_entry.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;
using solver::Difference;
using solver::Reason;

template <typename T>
void put(Json& json, const char* key, const T& value) {
  if (value != T{}) json[key] = value;
}

template <typename T>
void take(const Json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end()) return;
  if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) value = found->template get<bool>();
  } else if constexpr (std::is_integral_v<T>) {
    if (found->is_number_integer()) value = found->template get<T>();
  } else {
    if (found->is_string()) value = found->template get<std::string>();
  }
}

void take(const Json& json, const char* key, std::vector<std::string>& values) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) return;
  for (const Json& value : *found)
    if (value.is_string()) values.push_back(value.get<std::string>());
}

Json to_json(const Difference& difference) {
  Json json{{"kind", to_string(difference.kind)}};
  put(json, "name", difference.name);
  put(json, "change", difference.change);
  put(json, "before", difference.before);
  put(json, "after", difference.after);
  put(json, "text", difference.text);
  return json;
}

template <typename Kind>
Kind kind_named(const std::string& name, Kind last) {
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (to_string(static_cast<Kind>(i)) == name) return static_cast<Kind>(i);
  return {};
}

Difference read_difference(const Json& json) {
  Difference difference;
  std::string kind;
  take(json, "kind", kind);
  difference.kind = kind_named(kind, Difference::Kind::option);
  take(json, "name", difference.name);
  take(json, "change", difference.change);
  take(json, "before", difference.before);
  take(json, "after", difference.after);
  take(json, "text", difference.text);
  return difference;
}

Reason read_reason(const Json& json) {
  Reason reason;
  std::string kind;
  take(json, "kind", kind);
  reason.kind = kind_named(kind, Reason::Kind::lost);
  take(json, "text", reason.text);
  take(json, "evicted_ns", reason.evicted_ns);
  if (const auto list = json.find("differences"); list != json.end() && list->is_array())
    for (const Json& difference : *list) reason.differences.push_back(read_difference(difference));
  return reason;
}

Json to_json(const StepEntry& step) {
  Json json{{"id", step.id}, {"name", step.name}};
  put(json, "stage", step.stage);
  put(json, "type", step.type);
  put(json, "line", step.line);
  put(json, "state", step.state);
  put(json, "found_by", step.found_by);
  put(json, "key", step.key);
  if (!step.inputs.empty()) json["inputs"] = step.inputs;
  put(json, "start_ns", step.start_ns);
  put(json, "duration_ns", step.duration_ns);
  put(json, "path_ns", step.path_ns);
  put(json, "critical", step.critical);
  put(json, "created_ns", step.created_ns);
  if (step.reason.kind != Reason::Kind::none) json["reason"] = cli::to_json(step.reason);
  put(json, "error", step.error);
  put(json, "log", step.log);
  return json;
}

StepEntry read_step(const Json& json) {
  StepEntry step;
  take(json, "id", step.id);
  take(json, "name", step.name);
  take(json, "stage", step.stage);
  take(json, "type", step.type);
  take(json, "line", step.line);
  take(json, "state", step.state);
  take(json, "found_by", step.found_by);
  take(json, "key", step.key);
  if (const auto inputs = json.find("inputs"); inputs != json.end() && inputs->is_array())
    for (const Json& input : *inputs)
      if (input.is_number_integer()) step.inputs.push_back(input.get<std::int64_t>());
  take(json, "start_ns", step.start_ns);
  take(json, "duration_ns", step.duration_ns);
  take(json, "path_ns", step.path_ns);
  take(json, "critical", step.critical);
  take(json, "created_ns", step.created_ns);
  if (const auto reason = json.find("reason"); reason != json.end()) step.reason = read_reason(*reason);
  take(json, "error", step.error);
  take(json, "log", step.log);
  return step;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Json to_json(const Reason& reason) {
  Json json{{"kind", to_string(reason.kind)}};
  put(json, "text", reason.text);
  put(json, "evicted_ns", reason.evicted_ns);
  for (const Difference& difference : reason.differences) json["differences"].push_back(to_json(difference));
  return json;
}

cache::Store::BuildSummary to_summary(const BuildEntry& entry) {
  Json detail = Json::object();
  put(detail, "context", entry.context);
  if (!entry.arguments.empty()) detail["arguments"] = entry.arguments;
  put(detail, "image", entry.image);
  put(detail, "error", entry.error);
  Json& steps = detail["steps"] = Json::array();
  for (const StepEntry& step : entry.steps) steps.push_back(to_json(step));
  return {entry.id,         entry.name,        entry.status,      entry.dockerfile,   entry.target,
          entry.started_ns, entry.finished_ns, entry.steps_total, entry.steps_cached, dump(detail)};
}

BuildEntry from_summary(const cache::Store::BuildSummary& summary) {
  BuildEntry entry;
  entry.id = summary.id;
  entry.name = summary.name;
  entry.status = summary.status;
  entry.dockerfile = summary.dockerfile;
  entry.target = summary.target;
  entry.started_ns = summary.started_ns;
  entry.finished_ns = summary.finished_ns;
  entry.steps_total = summary.steps_total;
  entry.steps_cached = summary.steps_cached;
  const Json detail = Json::parse(summary.detail_json, nullptr, false);
  if (!detail.is_object()) return entry;
  take(detail, "context", entry.context);
  take(detail, "arguments", entry.arguments);
  take(detail, "image", entry.image);
  take(detail, "error", entry.error);
  if (const auto steps = detail.find("steps"); steps != detail.end() && steps->is_array())
    for (const Json& step : *steps)
      if (step.is_object()) entry.steps.push_back(read_step(step));
  return entry;
}

Json to_json(const BuildEntry& entry) {
  Json json{{"id", entry.id}, {"status", entry.status}};
  put(json, "name", entry.name);
  put(json, "context", entry.context);
  put(json, "dockerfile", entry.dockerfile);
  put(json, "target", entry.target);
  if (!entry.arguments.empty()) json["arguments"] = entry.arguments;
  json["started"] = format_rfc3339_ns(entry.started_ns);
  json["duration_ns"] = entry.finished_ns - entry.started_ns;
  put(json, "image", entry.image);
  put(json, "error", entry.error);
  json["steps_total"] = entry.steps_total;
  json["steps_cached"] = entry.steps_cached;
  Json& steps = json["steps"] = Json::array();
  for (const StepEntry& step : entry.steps) {
    steps.push_back(to_json(step));
    steps.back()["why"] = why(step);
  }
  return json;
}

std::string why(const StepEntry& step) {
  if (step.state == "ran" || step.state == "failed" || (step.state == "cancelled" && !step.reason.text.empty()))
    return step.reason.text.empty() ? std::string("a source is opened every time") : step.reason.text;
  if (step.state == "cancelled") return "not begun: the build had ended";
  if (step.state == "would-run") return "not in the cache";
  if (step.state != "cached") return "nothing needed it";
  const std::string made = step.created_ns == 0 ? "" : cat(", made ", format_rfc3339(step.created_ns / 1'000'000'000));
  if (step.found_by == "definition") return cat("cached: the same instruction on the same sources", made);
  if (step.found_by == "content") return cat("cached: what it reads came out the same", made);
  if (step.type == "local") return "read in place";
  return "cached: only steps that are cached themselves read it";
}

}  // namespace cbuild::cli
