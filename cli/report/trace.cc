// SPDX-License-Identifier: Apache-2.0
#include "cli/report/trace.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

using TraceJson = nlohmann::ordered_json;

std::vector<const engine::StepEntry*> traced_steps(const engine::BuildEntry& build) {
  std::vector<const engine::StepEntry*> out;
  for (const engine::StepEntry& step : build.steps)
    if (step.duration_ns > 0) out.push_back(&step);
  std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->start_ns < b->start_ns; });
  return out;
}

/// What both formats say about a step.
std::vector<std::pair<std::string, std::string>> facts_of(const engine::StepEntry& step) {
  std::vector<std::pair<std::string, std::string>> out = {{"state", step.state}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out.emplace_back(name, value);
  };
  add("why", why(step));
  add("stage", step.stage);
  if (step.line > 0) add("line", std::to_string(step.line));
  add("vertex", step.key.empty() ? "" : cat("sha256:", step.key));
  if (step.critical) add("critical", "true");
  return out;
}

double microseconds(std::int64_t ns) { return static_cast<double>(ns) / 1000; }

TraceJson chrome_event(const std::string& name, std::int64_t start_ns, std::int64_t duration_ns, std::size_t row) {
  return {{"name", name},
          {"cat", "build"},
          {"ph", "X"},
          {"ts", microseconds(start_ns)},
          {"dur", microseconds(duration_ns)},
          {"pid", 1},
          {"tid", row},
          {"args", TraceJson::object()}};
}

/// The first `digits` hex digits of a digest over what names a span.
std::string span_id(const engine::BuildEntry& build, const std::string& part, std::size_t digits) {
  return sha256(cat(build.id, "/", build.started_ns, "/", part)).hex().substr(0, digits);
}

TraceJson attribute(const std::string& name, const std::string& value) {
  return {{"key", name}, {"value", {{"stringValue", value}}}};
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Spans of one trace, children of one span.
class OtlpSpans {
 public:
  OtlpSpans(const engine::BuildEntry& build, const TraceContext& context)
      : build_(build),
        trace_id_(context.trace_id.empty() ? span_id(build, "trace", 32) : context.trace_id),
        root_id_(span_id(build, "build", 16)) {
    TraceJson root = span("build", root_id_, context.parent_id, 0, build.finished_ns - build.started_ns);
    for (const auto& [name, value] : {std::pair{"cbuild.build", build.id},
                                      {"cbuild.image", build.image},
                                      {"cbuild.name", build.name},
                                      {"cbuild.status", build.status}})
      if (!value.empty()) root["attributes"].push_back(attribute(name, value));
    finish(std::move(root), build.status != "ok", build.error);
  }

  void add(const engine::StepEntry& step) {
    TraceJson own =
        span(step.name, span_id(build_, std::to_string(step.id), 16), root_id_, step.start_ns, step.duration_ns);
    for (const auto& [name, value] : facts_of(step))
      own["attributes"].push_back(attribute(name == "vertex" ? name : cat("cbuild.", name), value));
    finish(std::move(own), step.state == "failed", step.error);
  }

  TraceJson take() { return std::move(spans_); }

 private:
  TraceJson span(const std::string& name, const std::string& id, const std::string& parent, std::int64_t start_ns,
                 std::int64_t duration_ns) const {
    constexpr int kInternal = 1;
    TraceJson out{{"traceId", trace_id_}, {"spanId", id}};
    if (!parent.empty()) out["parentSpanId"] = parent;
    out["name"] = name;
    out["kind"] = kInternal;
    out["startTimeUnixNano"] = std::to_string(build_.started_ns + start_ns);
    out["endTimeUnixNano"] = std::to_string(build_.started_ns + start_ns + duration_ns);
    out["attributes"] = TraceJson::array();
    return out;
  }

  void finish(TraceJson span, bool failed, const std::string& message) {
    constexpr int kError = 2;
    if (failed) span["status"] = {{"code", kError}, {"message", message}};
    spans_.push_back(std::move(span));
  }

  const engine::BuildEntry& build_;
  const std::string trace_id_, root_id_;
  TraceJson spans_ = TraceJson::array();
};

}  // namespace

TraceJson chrome_trace(const engine::BuildEntry& build) {
  const std::string name = build.name.empty() ? build.id : build.name;
  TraceJson events = TraceJson::array({chrome_event(cat("build ", name), 0, build.finished_ns - build.started_ns, 0)});
  std::vector<std::int64_t> row_ends;
  for (const engine::StepEntry* step : traced_steps(build)) {
    const auto free =
        std::find_if(row_ends.begin(), row_ends.end(), [&](std::int64_t end) { return end <= step->start_ns; });
    const auto row = static_cast<std::size_t>(free - row_ends.begin());
    if (free == row_ends.end()) row_ends.push_back(0);
    row_ends[row] = step->start_ns + step->duration_ns;
    TraceJson event = chrome_event(step->name, step->start_ns, step->duration_ns, row + 1);
    for (const auto& [key, value] : facts_of(*step)) event["args"][key] = value;
    events.push_back(std::move(event));
  }
  return {{"traceEvents", events}, {"displayTimeUnit", "ms"}};
}

void set_parent(std::string_view traceparent, TraceContext& context) {
  const std::vector<std::string> parts = split(traceparent, '-');
  if (parts.size() < 4 || parts[1].size() != 32 || parts[2].size() != 16) return;
  if (!is_hex(parts[1]) || !is_hex(parts[2]) || parts[1].find_first_not_of('0') == std::string::npos) return;
  context.trace_id = parts[1];
  context.parent_id = parts[2];
}

TraceJson otlp_trace(const engine::BuildEntry& build, const TraceContext& context) {
  OtlpSpans spans(build, context);
  for (const engine::StepEntry* step : traced_steps(build)) spans.add(*step);
  TraceJson resource{{"attributes", TraceJson::array()}};
  for (const auto& [name, value] : context.resource) resource["attributes"].push_back(attribute(name, value));
  const TraceJson scope{{"scope", {{"name", "cbuild"}}}, {"spans", spans.take()}};
  return {{"resourceSpans", TraceJson::array({{{"resource", resource}, {"scopeSpans", TraceJson::array({scope})}}})}};
}

}  // namespace cbuild::cli
