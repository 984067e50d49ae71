// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/daemon/client_inputs.h"
#include "api/daemon/state.h"
#include "engine/result.h"

namespace cbuild::api {

/// A result could not be made: carries why out of a call.
struct FailedResult {
  engine::Failure failure;
};

/// Builds what a client asked for with all the outputs and caches that its call Control.Solve names; the
/// ExporterResponse. Throws FailedResult; Error for a request that makes no sense.
std::map<std::string, std::string> solve(DaemonState& state, const ClientQuestion& question);

/// Only makes the result. `tree`: its files are written there; empty: they are not. Throws as solve().
void evaluate(DaemonState& state, const ClientQuestion& question, const std::string& tree);

/// Makes the result `id` of this or another build as an image layout, in the directory "image", once: other builds take
/// it as a context also when the client that asked for it is gone. Throws as solve().
ResultTree linked_layout(DaemonState& state, Build& build, const std::string& id);

/// The answer to a question about a Dockerfile, as metadata of a result: the attribute "requestid" says which. Nothing
/// is built. Throws as solve().
std::map<std::string, std::string> answer_subrequest(DaemonState& state, const ClientQuestion& question);

/// An image as a registry or the store has it.
struct ImageAnswer {
  std::string digest, config;  ///< config: JSON
};
/// `platform`: empty for this machine's. Throws Error.
ImageAnswer resolve_image(DaemonState& state, const ClientQuestion& question, const std::string& name,
                          const std::string& platform, bool ask_registry);

}  // namespace cbuild::api
