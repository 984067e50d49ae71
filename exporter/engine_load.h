// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exporter/output_type.h"

namespace cbuild::exporter {

/// Loads the archive of an image, or of an index, into Output::engine, without layers that it has where its API allows
/// that. Throws Error.
void load_into_engine(const OutputJob& job);

/// Whether Output::engine finds an image by its manifest's digest, and not by its config's. False for one that does not
/// answer.
bool engine_finds_manifests(const Output& output, const CancelSource* cancel);

}  // namespace cbuild::exporter
