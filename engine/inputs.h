// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "engine/remote_contexts.h"
#include "engine/request/request.h"
#include "frontend/lower/lower.h"
#include "frontend/syntax/parser.h"

namespace cbuild::engine {

/// The Dockerfile and context as the user named them.
struct BuildInputs {
  std::shared_ptr<const SourceText> dockerfile;
  std::string context_path;                  ///< absolute; empty: none, or not a directory
  std::vector<std::string> ignore;           ///< patterns
  std::string dockerfile_path;               ///< empty: no file of this machine
  std::optional<solver::Op> context_source;  ///< a context that is not a directory of this machine
  std::string lock_path;                     ///< of this machine, where a lock file would be; empty: none
  std::string lock_name;                     ///< as messages call it
  std::optional<std::string> lock;           ///< its content
  std::vector<std::string> notes;            ///< files of two names, of which one counts
};

/// Appended to the name of a Dockerfile gives that of its lock file.
inline constexpr char kLockSuffix[] = ".lock";

using ContextReader = std::function<RemoteContexts&()>;

/// Reads the Dockerfile (by default "Dockerfile", else "dockerfile", else "Containerfile") and the ignore file next to
/// it or in the context, which holds for local directories only. A Dockerfile in the context may be a link, but not to
/// what lies outside of it. `remote` gives what reads a context that is not on this machine, and is called only for
/// one; if it is empty, such contexts are refused. `policy` may be null. Throws Error{not_found} or {usage} saying what
/// was looked for.
BuildInputs read_inputs(const InputSettings& settings, const SourcePolicy* policy, const ContextReader& remote);

/// The reader for parsing: gives INCLUDE's files below the context directory, which they cannot leave.
frontend::ParseOptions parse_options(const BuildInputs& inputs, frontend::Checks& checks);

/// The build checks with the options that the build argument BUILDKIT_DOCKERFILE_CHECK gives, if it does. Throws
/// Error{usage}.
frontend::Checks make_checks(const InputSettings& settings);

/// The options of lowering that follow from the request, all but the target. Throws Error{usage} for build
/// contexts that do not exist.
frontend::LowerOptions lower_options(const BuildRequest& request, const BuildInputs& inputs);

}  // namespace cbuild::engine
