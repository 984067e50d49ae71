// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "solver/graph/graph.h"

namespace cbuild::engine {

/// The part of an op in a provenance that its fields do not have.
struct LlbNames {
  std::function<std::string(const std::string& locator)> image;  ///< the identifier of an image by its locator
  std::function<bool(std::string_view name)> is_secret;          ///< whether the value of an ARG is left out
};

/// The inputs of a vertex without the empty root, which LLB has no vertex for.
std::vector<solver::VertexId> llb_inputs(const solver::Vertex& vertex);

/// A vertex in the JSON form that BuildKit gives its LLB (solver/pb/json.go): the same names and numbers where an op
/// of ours has a field of theirs. Directories of this machine are names only, and URLs have no passwords.
std::string llb_json(const solver::Vertex& vertex, const LlbNames& names);

/// The vertex that ends a definition: it has an input and nothing else.
std::string llb_end_json();

}  // namespace cbuild::engine
