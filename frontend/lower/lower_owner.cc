// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/lower_owner.h"

#include <cstdint>
#include <limits>
#include <optional>

#include "base/text.h"

namespace cbuild::frontend {

namespace {

bool is_name(std::string_view text) {
  if (text == "root") return false;
  const std::optional<std::int64_t> number = parse_int(text);
  return !number || *number < 0 || *number > std::numeric_limits<std::int32_t>::max();
}

}  // namespace

bool names_owner(std::string_view owner) {
  if (owner.empty()) return false;
  const std::size_t colon = owner.find(':');
  return is_name(owner.substr(0, colon)) || (colon != std::string_view::npos && is_name(owner.substr(colon + 1)));
}

}  // namespace cbuild::frontend
