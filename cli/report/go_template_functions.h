// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace cbuild::cli {

/// A value as Go prints it: "text", "[a b]", "map[key:value]"; nothing for null.
std::string template_text(const nlohmann::ordered_json& value);
/// Whether a value counts as true: neither null, false, 0 nor empty.
bool is_template_true(const nlohmann::ordered_json& value);
/// Calls a function of fill_template(). Throws Error{usage} for an unknown one and for arguments that it does not take.
nlohmann::ordered_json call_template_function(const std::string& name,
                                              const std::vector<nlohmann::ordered_json>& arguments);

}  // namespace cbuild::cli
