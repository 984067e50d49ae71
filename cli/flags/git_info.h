// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/flags/options.h"

/// What git says of the context, for labels and for the provenance, as buildx asks it.
namespace cbuild::cli {

/// Labels with the commit, the remote and the Dockerfile of a context in a work tree. Throws Error if git cannot be
/// run.
void add_git_labels(BuildLine& line);

/// The same for the provenance: "revision", "source", and "localdir:context" and "localdir:dockerfile", the places in
/// the work tree. Nothing is asked if no result of the build has a provenance.
void add_git_info(BuildLine& line);

}  // namespace cbuild::cli
