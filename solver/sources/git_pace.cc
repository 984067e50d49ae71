// SPDX-License-Identifier: Apache-2.0
// git limits the rate of http(s) only. For git:// and ssh the bytes that cross the wire cannot be seen from outside,
// but the kernel counts what each process reads, and a git that waits for a slow server reads nothing else: its
// processes sleep, and their counters stand still or creep.
#include "solver/sources/git_pace.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/registry/failure.h"

namespace cbuild::solver::ops {

namespace {

using std::chrono::milliseconds;

constexpr int kLooksPerWindow = 20;
constexpr milliseconds kShortestInterval{50}, kLongestInterval{1000};
constexpr unsigned kBusyShare = 10;  // one look of so many
constexpr std::size_t kLongestProcFile = 1u << 16;

/// False where /proc is that of other process ids than ours.
bool shows_us() {
  std::array<char, 32> target;
  const ssize_t size = ::readlink("/proc/self", target.data(), target.size());
  return size > 0 && std::string_view(target.data(), static_cast<std::size_t>(size)) == std::to_string(::getpid());
}

/// A file of a process that may end at any time.
std::optional<std::string> read_proc(int proc, const std::string& path) {
  try {
    return sys::read_file_at(proc, path, kLongestProcFile);
  } catch (const Error&) {
    return std::nullopt;
  }
}

struct Stat {
  char state = 'S';
  pid_t group = 0;
};

/// "PID (NAME) STATE PARENT GROUP ..."; the name may hold anything.
std::optional<Stat> read_stat(int proc, const std::string& pid) {
  const auto text = read_proc(proc, cat(pid, "/stat"));
  const std::size_t end = text ? text->rfind(')') : std::string::npos;
  if (end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields = split(trim(std::string_view(*text).substr(end + 1)), ' ');
  const auto group = fields.size() < 3 ? std::nullopt : parse_int(fields[2]);
  if (!group || fields[0].size() != 1) return std::nullopt;
  return Stat{fields[0][0], static_cast<pid_t>(*group)};
}

std::optional<std::uint64_t> bytes_read(int proc, const std::string& pid) {
  constexpr std::string_view kKey = "rchar: ";
  const auto text = read_proc(proc, cat(pid, "/io"));
  if (!text || !text->starts_with(kKey)) return std::nullopt;
  const auto value = parse_int(std::string_view(*text).substr(kKey.size(), text->find('\n') - kKey.size()));
  return value ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

}  // namespace

GitPace::GitPace(milliseconds window, std::uint64_t rate, Clock::time_point now)
    : window_(window), rate_(rate), begin_(now) {}

milliseconds GitPace::interval() const {
  return std::clamp(window_ / kLooksPerWindow, kShortestInterval, kLongestInterval);
}

void GitPace::look(pid_t group) {
  const UniqueFd proc = sys::open_at(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY);
  if (!shows_us()) return;
  std::map<pid_t, std::uint64_t> read;
  bool busy = false;
  for (const std::string& name : sys::list_dir(proc.get())) {
    const auto pid = parse_int(name);
    const auto stat = pid ? read_stat(proc.get(), name) : std::nullopt;
    if (!stat || stat->group != group) continue;
    busy = busy || stat->state == 'R' || stat->state == 'D';
    if (const auto bytes = bytes_read(proc.get(), name)) read[static_cast<pid_t>(*pid)] = *bytes;
  }
  if (!read.empty()) judge(read, busy, Clock::now());
}

void GitPace::judge(const std::map<pid_t, std::uint64_t>& read, bool busy, Clock::time_point now) {
  for (const auto& [pid, bytes] : read) {
    std::uint64_t& before = seen_[pid];
    moved_ += bytes > before ? bytes - before : 0;
    before = bytes;
  }
  ++looks_;
  if (busy) ++busy_;
  if (now - begin_ < window_) return;
  const std::uint64_t moved = std::exchange(moved_, 0);
  const bool was_busy = busy_ * kBusyShare >= looks_;
  begin_ = now;
  looks_ = busy_ = 0;
  const auto least = static_cast<double>(rate_) * std::chrono::duration<double>(window_).count();
  if (was_busy || static_cast<double>(moved) >= least) return;
  throw Error(ErrorCode::network, cat("only ", moved, " bytes in ", format_go_duration(window_.count() * 1'000'000),
                                      ", the least is ", rate_, " bytes/s"))
      .with_hint(http::kLimitsHint);
}

}  // namespace cbuild::solver::ops
