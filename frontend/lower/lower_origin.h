// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "frontend/lower/lower_stage.h"

namespace cbuild::frontend {

/// The vertex that holds the files of a finished stage, an image or a named context. kNoInput: there are
/// none.
solver::VertexId origin_vertex(StageLowering& stage, const Origin& origin);

}  // namespace cbuild::frontend
