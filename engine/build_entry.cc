// SPDX-License-Identifier: Apache-2.0
// In the index a step is an object without the fields that are at their default: a build with nothing to do writes one
// row of some hundred bytes a step.
#include "engine/build_entry.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace cbuild::engine {
namespace {

using Json = nlohmann::ordered_json;
using solver::Difference;
using solver::Reason;

template <typename Kind>
constexpr Kind kLast{};
template <>
constexpr auto kLast<Difference::Kind> = Difference::Kind::option;
template <>
constexpr auto kLast<Reason::Kind> = Reason::Kind::missing_content;

// The fields of each object stand once, for both ways: `visit` is a Put or a Take.

template <typename Visit, typename Entry>
void visit_difference(Entry& difference, const Visit& visit) {
  visit("kind", difference.kind);
  visit("name", difference.name);
  visit("change", difference.change);
  visit("before", difference.before);
  visit("after", difference.after);
  visit("text", difference.text);
}

template <typename Visit, typename Entry>
void visit_reason(Entry& reason, const Visit& visit) {
  visit("kind", reason.kind);
  visit("text", reason.text);
  visit("evicted_ns", reason.evicted_ns);
  visit("differences", reason.differences);
}

/// All but id and name, which are never left out.
template <typename Visit, typename Entry>
void visit_step(Entry& step, const Visit& visit) {
  visit("stage", step.stage);
  visit("type", step.type);
  visit("line", step.line);
  visit("state", step.state);
  visit("found_by", step.found_by);
  visit("key", step.key);
  visit("inputs", step.inputs);
  visit("start_ns", step.start_ns);
  visit("duration_ns", step.duration_ns);
  visit("path_ns", step.path_ns);
  visit("critical", step.critical);
  visit("created_ns", step.created_ns);
  visit("reason", step.reason);
  visit("error", step.error);
  visit("cpu_user_ns", step.use.user_ns);
  visit("cpu_system_ns", step.use.system_ns);
  visit("peak_memory_bytes", step.use.peak_memory_bytes);
  visit("read_bytes", step.use.read_bytes);
  visit("written_bytes", step.use.written_bytes);
  visit("oom_killed", step.use.oom_killed);
  visit("log", step.log);
}

/// The fields that have no column of their own.
template <typename Visit, typename Entry>
void visit_detail(Entry& build, const Visit& visit) {
  visit("context", build.context);
  visit("arguments", build.arguments);
  visit("image", build.image);
  visit("error", build.error);
  visit("again", build.again);
  visit("provenance", build.provenance);
}

struct Put {
  Json& json;

  template <typename T>
  void operator()(const char* key, const T& value) const {
    if constexpr (std::is_enum_v<T>) {
      json[key] = to_string(value);
    } else if (value != T{}) {
      json[key] = value;
    }
  }
  void operator()(const char* key, const Reason& reason) const {
    if (reason.kind != Reason::Kind::none) json[key] = to_json(reason);
  }
  void operator()(const char* key, const std::vector<Difference>& differences) const {
    for (const Difference& difference : differences) {
      Json entry;
      visit_difference(difference, Put{entry});
      json[key].push_back(std::move(entry));
    }
  }
};

/// A member that is missing or of another type leaves the field as it is.
struct Take {
  const Json& json;

  template <typename T>
  void operator()(const char* key, T& value) const {
    if (const auto found = json.find(key); found != json.end()) read(*found, value);
  }

 private:
  /// False if `from` is of another type.
  template <typename T>
  static bool read(const Json& from, T& value) {
    if constexpr (std::is_enum_v<T>) {
      for (int i = 0; i <= static_cast<int>(kLast<T>); ++i)
        if (from == to_string(static_cast<T>(i))) value = static_cast<T>(i);
      return true;
    } else {
      const bool fits = std::is_same_v<T, bool> ? from.is_boolean()
                        : std::is_integral_v<T> ? from.is_number_integer()
                                                : from.is_string();
      if (fits) value = from.get<T>();
      return fits;
    }
  }
  static bool read(const Json& from, Reason& reason) {
    if (from.is_object()) visit_reason(reason, Take{from});
    return from.is_object();
  }
  static bool read(const Json& from, Difference& difference) {
    if (from.is_object()) visit_difference(difference, Take{from});
    return from.is_object();
  }
  template <typename T>
  static bool read(const Json& from, std::vector<T>& values) {
    if (!from.is_array()) return false;
    for (const Json& entry : from)
      if (T value{}; read(entry, value)) values.push_back(std::move(value));
    return true;
  }
};

Json step_json(const StepEntry& step) {
  Json json{{"id", step.id}, {"name", step.name}};
  visit_step(step, Put{json});
  return json;
}

StepEntry read_step(const Json& json) {
  StepEntry step;
  const Take take{json};
  take("id", step.id);
  take("name", step.name);
  visit_step(step, take);
  return step;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Json to_json(const Reason& reason) {
  Json json;
  visit_reason(reason, Put{json});
  return json;
}

cache::Store::BuildSummary to_summary(const BuildEntry& entry) {
  Json detail = Json::object();
  visit_detail(entry, Put{detail});
  Json& steps = detail["steps"] = Json::array();
  for (const StepEntry& step : entry.steps) steps.push_back(step_json(step));
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
  visit_detail(entry, Take{detail});
  if (const auto steps = detail.find("steps"); steps != detail.end() && steps->is_array())
    for (const Json& step : *steps)
      if (step.is_object()) entry.steps.push_back(read_step(step));
  return entry;
}

Json to_json(const BuildEntry& entry) {
  Json json{{"id", entry.id}, {"status", entry.status}};
  const Put put{json};
  put("name", entry.name);
  put("context", entry.context);
  put("dockerfile", entry.dockerfile);
  put("target", entry.target);
  put("arguments", entry.arguments);
  json["started"] = format_rfc3339_ns(entry.started_ns);
  json["duration_ns"] = entry.finished_ns - entry.started_ns;
  put("image", entry.image);
  put("error", entry.error);
  json["steps_total"] = entry.steps_total;
  json["steps_cached"] = entry.steps_cached;
  Json& steps = json["steps"] = Json::array();
  for (const StepEntry& step : entry.steps) {
    steps.push_back(step_json(step));
    steps.back()["why"] = why(step);
  }
  if (Json provenance = Json::parse(entry.provenance, nullptr, false); provenance.is_object())
    json["provenance"] = std::move(provenance);
  return json;
}

namespace {

std::string source_reason(const StepEntry& step) {
  return step.type == "image" ? "its layers were not known yet" : "a source is opened every time";
}

}  // namespace

std::string why(const StepEntry& step) {
  if (step.state == "ran" || step.state == "failed" || (step.state == "cancelled" && !step.reason.text.empty()))
    return step.reason.text.empty() ? source_reason(step) : step.reason.text;
  if (step.state == "cancelled") return "not begun: the build had ended";
  if (step.state == "would-run") return "not in the cache";
  if (step.state != "cached") return "nothing needed it";
  const std::string made = step.created_ns == 0 ? "" : cat(", made ", format_rfc3339(step.created_ns / 1'000'000'000));
  if (step.found_by == "definition") return cat("cached: the same instruction on the same sources", made);
  if (step.found_by == "content") return cat("cached: its inputs came out the same", made);
  if (step.type == "local") return "read in place";
  if (step.type == "image" && step.created_ns != 0) return "cached: its layers were known already";
  return "cached: only steps that are cached themselves read it";
}

}  // namespace cbuild::engine
