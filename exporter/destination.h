// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "exporter/outputs.h"

namespace cbuild::exporter {

/// The name for --allow that mode=delete outside of the working directory needs.
inline constexpr std::string_view kLocalDelete = "buildx.local.delete";

/// Checks the place of an output before anything runs: a file output is not to go to a directory, a directory not to a
/// file or stdout; and mode=delete needs `may_delete` unless the destination, links resolved, lies below the working
/// directory. Throws Error{usage}, which names `flag`.
void check_destination(const Output& output, bool may_delete, std::string_view flag = "--output");

}  // namespace cbuild::exporter
