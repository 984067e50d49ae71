// SPDX-License-Identifier: Apache-2.0
#include "cli/report/warning_json.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "frontend/syntax/check.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

Json place_json(const Span& span, std::size_t offset) { return {{"line", span.source->position(offset).line}}; }

}  // namespace

Digest source_vertex(const SourceText& source) { return sha256(source.text()); }

Json warning_json(const Diagnostic& finding) {
  Json json = Json::object();
  const frontend::CheckRule* rule = frontend::find_rule(finding.rule);
  if (finding.span) json["vertex"] = source_vertex(*finding.span.source).str();
  json["level"] = 1;
  json["short"] = base64_encode(frontend::finding_line(finding));
  if (rule != nullptr) {
    json["detail"] = Json::array({base64_encode(rule->description)});
    if (!rule->url().empty()) json["url"] = rule->url();
  }
  if (!finding.span) return json;
  const SourceText& source = *finding.span.source;
  json["sourceInfo"] = {
      {"filename", source.name()}, {"data", base64_encode(source.text())}, {"language", "Dockerfile"}};
  const std::size_t last = finding.span.end > finding.span.begin ? finding.span.end - 1 : finding.span.begin;
  json["range"] = Json::array();
  json["range"].push_back(
      {{"start", place_json(finding.span, finding.span.begin)}, {"end", place_json(finding.span, last)}});
  return json;
}

}  // namespace cbuild::cli
