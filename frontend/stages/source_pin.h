// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "frontend/stages/lower_options.h"
#include "frontend/stages/lower_remote.h"
#include "solver/graph/op.h"

namespace cbuild::frontend {

/// The GitSource a remote means now. A commit id, or a checksum that is believed, is not asked about; else `pinner` is.
/// Throws Error{input} for malformed refs and checksums, a checksum that does not match, and a null pinner where one is
/// needed; and errors of the pinner.
solver::GitSource pin_git_source(const GitRef& ref, bool keep_git_dir, SourcePinner* pinner);

/// The HttpSource a URL means now, as a file called `file_name`. `checksum`: "sha256:..." or empty. Throws Error{input}
/// for a checksum that is malformed or does not match, and for a null pinner; and errors of the pinner.
solver::HttpSource pin_http_source(const std::string& url, const std::string& file_name, const std::string& checksum,
                                   SourcePinner* pinner);

/// As pin_git_source() and pin_http_source(), of a source that the Dockerfile names at `where`: a lock file counts.
solver::GitSource pin_named_git(const GitRef& ref, bool keep_git_dir, const LowerCallbacks& callbacks,
                                const Span& where);
solver::HttpSource pin_named_url(const std::string& url, const std::string& file_name, const std::string& checksum,
                                 const LowerCallbacks& callbacks, const Span& where);

}  // namespace cbuild::frontend
