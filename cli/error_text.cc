// SPDX-License-Identifier: Apache-2.0
#include "cli/error_text.h"

#include <sys/statvfs.h>

#include <cstdint>

#include "base/text.h"

namespace cbuild::cli {
namespace {

std::string full_disk_hint(const std::string& store_root) {
  struct statvfs fs {};
  std::string free;
  if (::statvfs(store_root.c_str(), &fs) == 0) {
    const auto bytes = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
    free = cat(" (", format_size(bytes), " and ", static_cast<std::uint64_t>(fs.f_favail), " inodes free now)");
  }
  return cat("the store is at ", store_root, free,
             "; make room there with `cbuild prune`, or name another place in CBUILD_ROOT");
}

}  // namespace

std::string error_text(const Error& error, const std::string& store_root) {
  std::string hint = error.hint();
  if (hint.empty() && error.code() == ErrorCode::no_space) hint = full_disk_hint(store_root);
  std::string text = cat("ERROR: ", sanitize_for_terminal(error.what()), "\n");
  if (!hint.empty()) text += cat("hint: ", hint, "\n");
  return text;
}

}  // namespace cbuild::cli
