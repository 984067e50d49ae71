// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/entry_rules.h"

#include <limits.h>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/kept_xattrs.h"

namespace cbuild::oci::layer {

std::string clean_member_name(const std::string& name) {
  std::string path = clean_path(cat("/", name)).substr(1);
  if (path.size() >= PATH_MAX) throw Error(ErrorCode::corrupt, "name longer than 4095 bytes");
  return path;
}

bool may_set_xattr(std::string_view name) { return !name.starts_with("trusted.") && !is_overlay_xattr(name); }

}  // namespace cbuild::oci::layer
