// SPDX-License-Identifier: Apache-2.0
#include "base/process_limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/text.h"

namespace cbuild {
namespace {

std::optional<rlim_t> limit_of(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::nullopt;
  return limit.rlim_cur;
}

}  // namespace

std::string limit_hint(int err) {
  if (err == EMFILE) {
    if (const auto most = limit_of(RLIMIT_NOFILE))
      return cat("this process may have ", *most, " files open at once; raise that limit with `ulimit -n`");
  } else if (err == EFBIG) {
    if (const auto most = limit_of(RLIMIT_FSIZE))
      return cat("this process may write files of ", *most, " bytes at most; raise that limit with `ulimit -f`");
  } else if (err == EAGAIN) {
    if (const auto most = limit_of(RLIMIT_NPROC))
      return cat("this user may have ", *most, " processes and threads at once; raise that limit with `ulimit -u`");
  }
  return "";
}

unsigned jobs_within_open_files(unsigned wanted, unsigned files_each) {
  constexpr rlim_t kKept = 64;  // the store, the terminal, the sandbox
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return wanted;
  const rlim_t room = limit.rlim_max > kKept ? (limit.rlim_max - kKept) / files_each : 0;
  return static_cast<unsigned>(std::clamp<rlim_t>(room, 1, wanted));
}

}  // namespace cbuild
