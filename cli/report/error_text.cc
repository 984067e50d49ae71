// SPDX-License-Identifier: Apache-2.0
#include "cli/report/error_text.h"

#include "base/disk_space.h"
#include "base/process/process_limits.h"
#include "base/suggestion.h"
#include "base/text.h"
#include "cli/report/exit_codes.h"

namespace cbuild::cli {
namespace {

std::string full_disk_hint(const std::string& store_root) {
  const std::string space = free_space(store_root);
  return cat("the store is at ", store_root, space.empty() ? "" : cat(" (", space, ")"),
             "; make room there with `cbuild prune`, or name another place in CBUILD_ROOT");
}

}  // namespace

int exit_code_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::usage:
      return exit_code::kUsage;
    case ErrorCode::unsupported:
    case ErrorCode::internal:
      return exit_code::kInternal;
    case ErrorCode::cancelled:
      return exit_code::kInterrupted;
    default:
      return exit_code::kBuildFailed;
  }
}

std::string error_text(const Error& error, const std::string& store_root) {
  std::string hint = error.hint();
  if (hint.empty() && error.code() == ErrorCode::no_space && !store_root.empty()) hint = full_disk_hint(store_root);
  if (hint.empty()) hint = limit_hint(error.sys_errno());
  std::string what = with_suggestion(error.what(), hint);
  if (error.code() == ErrorCode::usage) what = replace_all(what, "\n", "^J");  // it quotes a word of the command line
  std::string text = cat("ERROR: ", sanitize_for_terminal(what), "\n");
  if (!hint.empty() && !is_suggestion(hint)) text += cat("hint: ", sanitize_for_terminal(hint), "\n");
  return text;
}

}  // namespace cbuild::cli
