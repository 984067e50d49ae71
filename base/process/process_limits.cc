// SPDX-License-Identifier: Apache-2.0
// The meaning of errors about limits, and the distance to the limit of threads. Two limits count threads: the user's
// (RLIMIT_NPROC) and those of the control groups above this process (pids.max); the one with the least room is the one
// that is named.
#include "base/process/process_limits.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild {
namespace {

std::optional<rlim_t> limit_of(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::nullopt;
  return limit.rlim_cur;
}

struct GroupLimit {
  std::uint64_t most = 0, used = 0;
};

std::optional<std::uint64_t> number_in(const std::string& path) {
  try {
    std::uint64_t value = 0;
    const std::string text = sys::read_file_at(AT_FDCWD, path, 64);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() ? std::optional(value) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The directory of the control group that counts the processes, and where its hierarchy begins.
std::optional<std::pair<std::string, std::string>> group_of_pids() {
  std::string text;
  try {
    text = sys::read_file_at(AT_FDCWD, "/proc/self/cgroup", 1 << 16);
  } catch (const Error&) {
    return std::nullopt;
  }
  std::optional<std::pair<std::string, std::string>> found;
  for (const std::string& text_line : split(text, '\n')) {
    const std::string_view line = text_line;
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controllers == "pids")
      return std::pair<std::string, std::string>("/sys/fs/cgroup/pids", (line.substr(second + 1)));
    if (controllers.empty()) found.emplace("/sys/fs/cgroup", line.substr(second + 1));
  }
  return found;
}

/// The group above this process, itself included, that has the least room.
std::optional<GroupLimit> tightest_group() {
  const auto group = group_of_pids();
  if (!group) return std::nullopt;
  std::optional<GroupLimit> tightest;
  for (std::string below = group->second == "/" ? "" : group->second;; below.resize(below.rfind('/'))) {
    const std::string directory = group->first + below;
    if (const auto most = number_in(directory + "/pids.max")) {
      const GroupLimit limit{*most, number_in(directory + "/pids.current").value_or(0)};
      if (!tightest ||
          limit.most - std::min(limit.most, limit.used) < tightest->most - std::min(tightest->most, tightest->used))
        tightest = limit;
    }
    if (below.empty() || below.find('/') == std::string::npos) break;
  }
  return tightest;
}

/// Threads of the whole machine: as many as any user can have. "0.10 0.20 0.30 1/234 5678"
std::uint64_t threads_of_all() {
  try {
    const std::string text = sys::read_file_at(AT_FDCWD, "/proc/loadavg", 256);
    const std::size_t slash = text.find('/');
    std::uint64_t count = 0;
    if (slash != std::string::npos &&
        std::from_chars(text.data() + slash + 1, text.data() + text.size(), count).ec == std::errc())
      return count;
  } catch (const Error&) {
    // without /proc nothing is known
  }
  return std::numeric_limits<std::uint32_t>::max();
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
    const auto most = limit_of(RLIMIT_NPROC);
    if (const auto group = tightest_group(); group && group->most < most.value_or(RLIM_INFINITY))
      return cat(
          "this control group may have ", group->most,
          " processes and threads at once; raise pids.max (--pids-limit of a container, TasksMax= of a service)");
    if (most)
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

bool is_thread_limit_near(unsigned wanted) {
  const auto most = limit_of(RLIMIT_NPROC);
  if (most && threads_of_all() + wanted > *most) return true;
  const auto group = tightest_group();
  return group && group->used + wanted > group->most;
}

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return ::syscall(SYS_capget, &header, data) == 0 &&
         (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

}  // namespace cbuild
