// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/lower_origin.h"

#include "base/text.h"
#include "frontend/lower/check_stage.h"

namespace cbuild::frontend {

solver::VertexId origin_vertex(StageLowering& stage, const Origin& origin) {
  BuildState& build = stage.build;
  if (origin.stage) return build.states[*origin.stage].root;
  if (origin.reference == "scratch") return solver::kNoInput;
  const Span& span = stage.span();
  const ResolvedBase base = build.sources.resolve(origin.reference, std::nullopt, span, build.table);
  check_base_platform(*stage.instruction, span, origin.reference, base, build.checks);
  const std::string name = base.context ? context_step_name(*base.context) : cat("FROM ", base.name);
  return build.sources.add(base, name, span);
}

}  // namespace cbuild::frontend
