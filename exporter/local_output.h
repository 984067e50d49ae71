// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"
#include "cache/store.h"
#include "exporter/archive.h"

namespace cbuild::exporter {

/// Writes the merged files of a chain, whose trees are there, into a directory as the caller's own; the directory and
/// its parents are made. Files of the same name are replaced, others stay; with `mirror` they are removed when
/// everything is written. Throws Error.
void write_local(cache::Store& store, const RootfsOptions& options, const std::string& directory, bool mirror);

}  // namespace cbuild::exporter
