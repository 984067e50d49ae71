// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cbuild::frontend {

/// Ports of one EXPOSE word, "[[ip:]host-port:]port[-port][/proto]", as "80/tcp"; a range gives one entry a
/// port. Addresses and host ports are checked and dropped. Throws Error{input}.
std::vector<std::string> parse_exposed_port(std::string_view word);

}  // namespace cbuild::frontend
