// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/report_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cbuild::frontend {

namespace {

using Json = nlohmann::ordered_json;

}  // namespace

nlohmann::ordered_json location_json(const Span& span, const SourceList& sources) {
  Json out = Json::object();
  if (!span) return out;
  const auto source = std::find(sources.begin(), sources.end(), span.source);
  if (source != sources.begin() && source != sources.end()) out["sourceIndex"] = source - sources.begin();
  const std::size_t last_byte = span.end > span.begin ? span.end - 1 : span.begin;
  const std::uint32_t last = span.source->position(last_byte).line;
  for (std::uint32_t line = span.source->position(span.begin).line; line <= last; ++line) {
    out["ranges"].push_back({{"start", {{"line", line}}}, {"end", {{"line", line}}}});
  }
  return out;
}

std::string dump_json(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace cbuild::frontend
