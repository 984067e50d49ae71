// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cache/content/tree.h"
#include "engine/lower_build.h"
#include "engine/services.h"
#include "exporter/attestation.h"

namespace cbuild::engine {

/// Adds a step for each target that runs the scanner image of --sbom=generator=IMAGE on its result, by BuildKit's
/// protocol (docs/attestations/sbom-protocol.md there); the ids go into LoweredBuild::scans. Nothing happens without a
/// generator. Throws Error for an image that cannot be resolved or has no command.
void add_scan_steps(Services& services, LoweredBuild& lowered);

/// The statements that a scanner left in `files`, its result. Throws Error{step_failed} for a file that is not a
/// statement about an SPDX document.
std::vector<exporter::Attestation> read_scan(const cache::TreeView& files);

}  // namespace cbuild::engine
