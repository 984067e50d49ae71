// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/diagnostic.h"
#include "base/digest.h"

namespace cbuild::cli {

/// A finding of the build checks as Go writes BuildKit's VertexWarning: texts are bytes, so they are in base64.
nlohmann::ordered_json warning_json(const Diagnostic& finding);

/// The digest of the vertex that warnings of a file belong to.
Digest source_vertex(const SourceText& source);

}  // namespace cbuild::cli
