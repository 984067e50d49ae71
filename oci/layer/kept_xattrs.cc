// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/kept_xattrs.h"

#include <linux/capability.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/planned_entry.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::string_view kCapability = "security.capability", kUser = "user.";
constexpr std::size_t kRevision2Size = sizeof(vfs_cap_data);
constexpr std::array<std::string_view, 2> kOverlayPrefixes = {"trusted.overlay.", "user.overlay."};

bool means_no_xattrs(int err) { return err == ENOTSUP || err == EPERM || err == EACCES; }

/// Names as the kernel gives them, each with its NUL.
std::string list_names(int fd, const std::string& path) {
  std::array<char, 512> few;
  ssize_t size = flistxattr(fd, few.data(), few.size());
  if (size >= 0) return {few.data(), static_cast<std::size_t>(size)};
  if (errno == ERANGE) {
    std::string names(XATTR_LIST_MAX, '\0');
    size = flistxattr(fd, names.data(), names.size());
    if (size >= 0) return names.substr(0, static_cast<std::size_t>(size));
  }
  const int err = errno;
  if (!means_no_xattrs(err)) throw_errno(err, cat("list xattrs of ", path));
  return {};
}

std::string read_value(int fd, const std::string& name, const std::string& path) {
  std::array<char, 256> small;
  ssize_t size = fgetxattr(fd, name.c_str(), small.data(), small.size());
  if (size >= 0) return {small.data(), static_cast<std::size_t>(size)};
  if (errno == ERANGE) {
    std::string value(XATTR_SIZE_MAX, '\0');
    size = fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (size >= 0) return value.substr(0, static_cast<std::size_t>(size));
  }
  const int err = errno;
  throw_errno(err, cat("read xattr ", name, " of ", path));
}

void take_overlay(KeptXattrs& out, int fd, const std::string& name, const std::string& path) {
  const std::string_view feature = std::string_view(name).substr(name.find("overlay.") + 8);
  if (feature == "opaque") {
    const std::string value = read_value(fd, name, path);
    out.opaque |= value == "y";
    if (value == "x") out.refused = name;  // its files may be whiteouts in xattr form
  } else if (feature == "redirect" || feature == "metacopy" || feature == "whiteout") {
    out.refused = name;
  }
}

}  // namespace

bool is_overlay_xattr(std::string_view name) {
  return std::any_of(kOverlayPrefixes.begin(), kOverlayPrefixes.end(),
                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_kept(std::string_view name) {
  return !is_overlay_xattr(name) && (name == kCapability || name.starts_with(kUser));
}

std::string portable_capability(std::string value) {
  if (value.size() != sizeof(vfs_ns_cap_data)) return value;
  // Little-endian on every machine: the revision is the top byte of the first word.
  const auto revision = static_cast<unsigned char>(value[3]);
  if (revision != VFS_CAP_REVISION_3 >> VFS_CAP_REVISION_SHIFT) return value;
  value[3] = static_cast<char>(VFS_CAP_REVISION_2 >> VFS_CAP_REVISION_SHIFT);
  value.resize(kRevision2Size);
  return value;
}

std::vector<sys::Xattr> layer_xattrs(std::vector<sys::Xattr> xattrs) {
  std::erase_if(xattrs, [](const sys::Xattr& xattr) { return !is_kept(xattr.name); });
  for (sys::Xattr& xattr : xattrs)
    if (xattr.name == kCapability) xattr.value = portable_capability(std::move(xattr.value));
  std::sort(xattrs.begin(), xattrs.end());
  return xattrs;
}

KeptXattrs read_kept_xattrs(int fd, const std::string& path) {
  KeptXattrs out;
  const std::string names = list_names(fd, path);
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (is_overlay_xattr(name)) {
      take_overlay(out, fd, name, path);
    } else if (is_kept(name)) {
      out.kept.push_back({name, read_value(fd, name, path)});
    }
  }
  out.kept = layer_xattrs(std::move(out.kept));
  return out;
}

}  // namespace cbuild::oci::layer
