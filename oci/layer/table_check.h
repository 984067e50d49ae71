// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "oci/layer/layer_table.h"

namespace cbuild::oci::layer::test {

/// The lines that describe_tree() gives for the tree of a table on disk, sorted; `archive` is uncompressed. With no
/// time where the archive does not say it.
std::vector<std::string> describe_table(const LayerTable& table, std::string_view archive);
/// Takes those times out of the lines of describe_tree() for the unpacked tree of `table`, and sorts.
std::vector<std::string> without_implied_times(const LayerTable& table, std::vector<std::string> lines);

/// Checks that the table of an archive, in any compression, is the tree that unpack() makes of it in an empty
/// directory, or that both refuse it; and that its encoding gives it back. As root; else it checks nothing.
void check_table(std::string_view archive, std::uint64_t max_bytes = 1ull << 42);

}  // namespace cbuild::oci::layer::test
