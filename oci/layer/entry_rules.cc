// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/entry_rules.h"

#include <limits.h>

#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/kept_xattrs.h"

namespace cbuild::oci::layer {
namespace {

std::uint64_t checked_id(std::int64_t value, const char* what) {
  if (value < 0 || value >= std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorCode::corrupt, cat(what, " ", value, " is out of range"));
  return static_cast<std::uint64_t>(value);
}

std::uint32_t checked_device(std::uint64_t value, std::uint32_t limit) {
  if (value >= limit) throw Error(ErrorCode::corrupt, "device number out of range");
  return static_cast<std::uint32_t>(value);
}

}  // namespace

std::string clean_member_name(const std::string& name) {
  std::string path = clean_path(cat("/", name)).substr(1);
  if (path.size() >= PATH_MAX) throw Error(ErrorCode::corrupt, "name longer than 4095 bytes");
  return path;
}

bool may_set_xattr(std::string_view name) { return !name.starts_with("trusted.") && !is_overlay_xattr(name); }

void set_owner(TarEntry& entry, std::int64_t uid, std::int64_t gid) {
  entry.uid = checked_id(uid, "uid");
  entry.gid = checked_id(gid, "gid");
}

void set_device(TarEntry& entry, std::uint64_t major, std::uint64_t minor) {
  const bool device = entry.type == EntryType::char_device || entry.type == EntryType::block_device;
  entry.device_major = device ? checked_device(major, 1u << 12) : 0;
  entry.device_minor = device ? checked_device(minor, 1u << 20) : 0;
}

}  // namespace cbuild::oci::layer
