// SPDX-License-Identifier: Apache-2.0
#include "exporter/destination.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::exporter {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(std::string_view flag, const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, cat(flag, ": ", message)).with_hint(hint);
}

/// Whether the destination is a true subdirectory of the working directory, wherever links lead.
bool is_below_working_directory(const std::string& path) {
  const fs::path relative =
      fs::weakly_canonical(fs::absolute(path)).lexically_relative(fs::canonical(fs::current_path()));
  return !relative.empty() && relative != "." && *relative.begin() != "..";
}

}  // namespace

void check_destination(const Output& output, bool may_delete, std::string_view flag) {
  if (output.dest.empty()) return;
  const bool directory = is_directory(output);
  if (directory && output.dest == "-") refuse(flag, "dest=- is stdout, which is not a directory");
  if (output.dest == "-") return;
  const auto there = sys::try_stat_at(AT_FDCWD, output.dest, 0);
  if (there && directory && !S_ISDIR(there->st_mode)) refuse(flag, cat(output.dest, " is not a directory"));
  if (there && !directory && S_ISDIR(there->st_mode)) refuse(flag, cat(output.dest, " is a directory"), "dest=FILE");
  if (!directory || !output.delete_extra || may_delete) return;
  if (!is_below_working_directory(output.dest))
    refuse(flag, cat("mode=delete for ", output.dest, " needs --allow=", kLocalDelete),
           "it removes everything there that is not in the result; without --allow it takes only directories below the "
           "working directory");
}

}  // namespace cbuild::exporter
