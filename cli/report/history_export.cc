// SPDX-License-Identifier: Apache-2.0
#include "cli/report/history_export.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cache/record_search.h"
#include "cli/report/step_log_text.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

bool is_confidential(const std::string& label) {
  return label.starts_with("argument ") || label.starts_with("variable ") || label.starts_with("secret ");
}

bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

}  // namespace

std::string read_log(cache::Store& store, const engine::StepEntry& step) {
  if (step.log.empty() || clean_path(step.log) != step.log || !step.log.starts_with("logs/")) return {};
  return kept_log(store.root_fd(), step.log);
}

Json key_parts(cache::Store& store, const engine::StepEntry& step) {
  Json out = Json::array();
  const auto key = Digest::from_hex(step.key);
  const auto record = key ? cache::peek(store, *key) : std::nullopt;
  if (!record) return out;
  for (const solver::KeyPart& part : record->parts) {
    if (part.label.starts_with("about ")) continue;
    Json line{{"label", part.label}};
    if (!is_confidential(part.label)) line["value"] = part.value;
    out.push_back(std::move(line));
  }
  return out;
}

Json export_build(cache::Store& store, const engine::BuildEntry& build) {
  Json out{{"format", "cbuild.history.v1"}, {"build", to_json(build)}};
  Json& steps = out["build"]["steps"];
  for (std::size_t i = 0; i < build.steps.size(); ++i) {
    const engine::StepEntry& step = build.steps[i];
    if (Json parts = key_parts(store, step); !parts.empty()) steps[i]["key_parts"] = std::move(parts);
    const std::string log = read_log(store, step);
    if (log.empty()) continue;
    if (is_utf8(log))
      steps[i]["log_text"] = log;
    else
      steps[i]["log_base64"] = base64_encode(log);
  }
  return out;
}

}  // namespace cbuild::cli
