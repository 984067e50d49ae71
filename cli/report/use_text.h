// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/process_values.h"

namespace cbuild::cli {

/// "cpu 3.4s, memory 120.0 MB, read 1.0 MB, written 2.0 MB, out of memory"; parts that are zero are left out.
std::string use_text(const ResourceUse& use);

/// The time on all processors, "3.4s"; "-" for none.
std::string cpu_text(const ResourceUse& use);
/// The peak of memory, "120.0 MB"; "-" for none.
std::string memory_text(const ResourceUse& use);

/// All fields by name, as docs/cli.md has them.
nlohmann::ordered_json use_json(const ResourceUse& use);

}  // namespace cbuild::cli
