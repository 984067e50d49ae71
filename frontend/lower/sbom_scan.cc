// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/sbom_scan.h"

#include <algorithm>

#include "base/text.h"
#include "base/words.h"

namespace cbuild::frontend {

namespace {

bool is_enabled(const std::string& stage_name, const std::string& value) {
  if (const auto truth = parse_bool(value)) return *truth;
  const std::vector<std::string> names = split(value, ',');
  return std::find(names.begin(), names.end(), stage_name) != names.end();
}

bool is_enabled(std::string_view arg, const std::string& stage_name, const StageScope& scope,
                const Variables& globals) {
  const std::string* global = globals.find(arg);
  bool out = global != nullptr && is_enabled(stage_name, *global);
  for (const DeclaredArg& declared : scope.declared)
    if (declared.name == arg && declared.value) out = is_enabled(stage_name, *declared.value);
  return out;
}

}  // namespace

StageScan scan_of_stage(const std::string& stage_name, const StageScope& scope, const Variables& globals) {
  return {is_enabled("BUILDKIT_SBOM_SCAN_STAGE", stage_name, scope, globals),
          is_enabled("BUILDKIT_SBOM_SCAN_CONTEXT", stage_name, scope, globals)};
}

std::vector<ScanExtra> scan_extras(BuildState& build, std::size_t target) {
  std::vector<ScanExtra> out;
  for (const StageInfo& info : build.table.stages()) {
    if (info.index == target || !build.plan[info.index].reached || !build.scans[info.index].stage) continue;
    const solver::VertexId root = stage_root(build, info.index);
    if (root != solver::kNoInput) out.push_back({info.display_name, root});
  }
  if (build.scans[target].context) {
    const StageInfo& info = build.table.stages()[target];
    const solver::VertexId context = build.sources.build_context_root(info.syntax->name, info.syntax->from.span);
    if (context != solver::kNoInput) out.push_back({"context", context});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

}  // namespace cbuild::frontend
