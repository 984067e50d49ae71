// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exporter/output_type.h"

namespace cbuild::exporter {

/// Streams the archive of an image into `docker load`: every engine's client understands it, also for remote engines.
/// Throws Error.
void load_into_engine(const OutputJob& job);

/// Whether the engine that Output::engine_context names finds an image by its manifest's digest, and not by its
/// config's. Asks its client; false for one that does not answer.
bool engine_finds_manifests(const Output& output, const CancelSource* cancel);

}  // namespace cbuild::exporter
