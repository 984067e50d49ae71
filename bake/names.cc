// SPDX-License-Identifier: Apache-2.0
#include "bake/names.h"

#include <algorithm>

#include "base/pattern/path_pattern.h"

namespace cbuild::bake {

bool name_matches(std::string_view pattern, std::string_view name) { return match_glob(pattern, name).value_or(false); }

bool is_pattern(std::string_view name) { return name.find_first_of("*?[]") != std::string_view::npos; }

std::string sanitized_name(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

bool is_remote(std::string_view path) {
  for (const std::string_view scheme : {"http://", "https://", "git://", "ssh://", "git@", "github.com/"})
    if (path.starts_with(scheme)) return true;
  // USER@HOST:PATH, which git reads as ssh
  const auto at = path.find('@'), colon = path.find(':');
  return at != std::string_view::npos && colon != std::string_view::npos && at < colon &&
         path.substr(0, colon).find('/') == std::string_view::npos;
}

}  // namespace cbuild::bake
