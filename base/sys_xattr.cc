// SPDX-License-Identifier: Apache-2.0
// Extended attributes. The calls that take a directory descriptor are younger than the kernels we run on, and O_PATH
// descriptors are refused, so that symlinks and special files are reached as /proc/self/fd/<dirfd>/<name>.
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sys {

namespace {

std::string path_of(int dirfd, const std::string& name) {
  return dirfd == AT_FDCWD || name.starts_with('/') ? name : cat(fd_path(dirfd), '/', name);
}

/// Fills a string by a call that returns the needed size for a null buffer and ERANGE for one that is too small (the
/// value may grow in between). nullopt and errno on failure.
template <typename Call>
std::optional<std::string> read_sized(Call call) {
  std::string out(256, '\0');
  for (;;) {
    const ssize_t size = call(out.data(), out.size());
    if (size >= 0) {
      out.resize(static_cast<std::size_t>(size));
      return out;
    }
    if (errno != ERANGE) return std::nullopt;
    const ssize_t needed = call(nullptr, 0);
    if (needed < 0) return std::nullopt;
    out.resize(static_cast<std::size_t>(needed) + 64);
  }
}

template <typename List, typename Get>
std::vector<Xattr> collect(List list, Get get, const std::string& what) {
  const std::optional<std::string> names = read_sized(list);
  if (!names) {
    if (errno == ENOTSUP) return {};
    throw_errno(errno, cat("list extended attributes of ", what));
  }
  std::vector<Xattr> out;
  for (std::size_t at = 0; at < names->size();) {
    const std::string name = names->c_str() + at;
    at += name.size() + 1;
    std::optional<std::string> value =
        read_sized([&](char* data, std::size_t size) { return get(name.c_str(), data, size); });
    if (value)
      out.push_back({name, std::move(*value)});
    else if (errno != ENODATA && errno != ENOTSUP)
      throw_errno(errno, cat("read extended attribute ", name, " of ", what));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<Xattr> list_xattrs(int fd) {
  return collect([&](char* data, std::size_t size) { return ::flistxattr(fd, data, size); },
                 [&](const char* name, char* data, std::size_t size) { return ::fgetxattr(fd, name, data, size); },
                 "an open file");
}

std::vector<Xattr> list_xattrs_at(int dirfd, const std::string& name) {
  const std::string path = path_of(dirfd, name);
  return collect(
      [&](char* data, std::size_t size) { return ::llistxattr(path.c_str(), data, size); },
      [&](const char* key, char* data, std::size_t size) { return ::lgetxattr(path.c_str(), key, data, size); }, name);
}

bool set_xattr_at(int dirfd, const std::string& name, const Xattr& xattr) {
  const std::string path = path_of(dirfd, name);
  if (::lsetxattr(path.c_str(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0) return true;
  if (errno == ENOTSUP || errno == EPERM) return false;
  throw_errno(errno, cat("set extended attribute ", xattr.name, " of ", name));
}

}  // namespace cbuild::sys
