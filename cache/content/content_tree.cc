// SPDX-License-Identifier: Apache-2.0
#include "cache/content/content_tree.h"

namespace cbuild::cache {

Digest xattr_digest(const std::vector<sys::Xattr>& xattrs) {
  CanonicalWriter writer;
  bool any = false;
  for (const sys::Xattr& xattr : xattrs) {
    const bool of_user = xattr.name.starts_with("user.") && !xattr.name.starts_with("user.overlay.");
    if (xattr.name != "security.capability" && !of_user) continue;
    writer.text(xattr.name).text(xattr.value);
    any = true;
  }
  return any ? writer.hash() : Digest{};
}

void drop_childless(ContentDirectory& directory) {
  for (ContentEntry& entry : directory.entries) {
    if (entry.directory) drop_childless(*entry.directory);
  }
  std::erase_if(directory.entries,
                [](const ContentEntry& entry) { return entry.only_for_children && entry.directory->entries.empty(); });
}

}  // namespace cbuild::cache
