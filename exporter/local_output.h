// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "base/cancel.h"
#include "exporter/files_tar.h"

namespace cbuild::exporter {

/// Writes the files of trees into a directory as the caller's own; the directory and its parents are made. Files of
/// the same name are replaced, others stay; with `mirror` they are removed when everything is written. Throws Error.
void write_local(std::span<const FileTree> trees, const std::string& directory, bool mirror,
                 const CancelSource* cancel);

}  // namespace cbuild::exporter
