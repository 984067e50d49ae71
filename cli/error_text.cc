// SPDX-License-Identifier: Apache-2.0
#include "cli/error_text.h"

#include "base/disk_space.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

std::string full_disk_hint(const std::string& store_root) {
  const std::string space = free_space(store_root);
  return cat("the store is at ", store_root, space.empty() ? "" : cat(" (", space, ")"),
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
