// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "solver/graph/graph.h"

namespace cbuild::solver {

/// The identity of a step across builds, for an explanation: stage, kind and the instruction as written, before
/// variables are put in.
std::string step_identity(const Vertex& vertex);
/// The stage and kind in front of an identity.
std::string_view identity_scope(std::string_view identity);

/// The name of a step as history keeps it: its position and the instruction as written, so that no value of a variable
/// is in it.
std::string written_name(const Vertex& vertex);

/// "RUN make" of "[build 2/7] RUN make".
std::string_view without_position(std::string_view step_name);

}  // namespace cbuild::solver
