// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "cache/gc/gc.h"
#include "cli/command.h"

namespace cbuild::cli {

/// `cbuild du`: the contents of the store by size.
int du_command(Arguments arguments);

/// The table of du and prune; with `verbose` a paragraph for each item.
void print_items(std::ostream& out, const std::vector<cache::Usage::Item>& items, bool verbose);
nlohmann::ordered_json to_json(const cache::Usage::Item& item);

}  // namespace cbuild::cli
