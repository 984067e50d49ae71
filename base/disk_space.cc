// SPDX-License-Identifier: Apache-2.0
#include "base/disk_space.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/sys.h"
#include "base/text.h"

namespace cbuild {

std::string free_space(const std::string& path) {
  struct statvfs fs {};
  if (::statvfs(path.c_str(), &fs) != 0) return {};
  const auto bytes = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
  return cat(format_size(bytes), " and ", static_cast<std::uint64_t>(fs.f_favail), " inodes free now");
}

std::string mount_point(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  struct stat here {
  }, above{};
  if (!resolved || ::stat(resolved.get(), &here) != 0) return path;
  std::string at = resolved.get();
  while (at != "/") {
    const std::string parent = dir_name(at);
    if (::stat(parent.c_str(), &above) != 0 || above.st_dev != here.st_dev) return at;
    at = parent;
  }
  return at;
}

}  // namespace cbuild
