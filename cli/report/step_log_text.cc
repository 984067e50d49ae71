// SPDX-License-Identifier: Apache-2.0
#include "cli/report/step_log_text.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

constexpr std::uint64_t kWhole = 32u << 20;  // more than a step of this version keeps
constexpr std::uint64_t kTail = 64u << 10;
constexpr std::size_t kTailLines = 500;

std::uint64_t size_of(int fd) { return static_cast<std::uint64_t>(std::max<off_t>(sys::stat_fd(fd).st_size, 0)); }

/// `size` bytes at `offset`, or fewer at the end.
std::string part_of(int fd, std::uint64_t offset, std::uint64_t size) {
  std::string text(size, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(errno, "read of a log");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  return text;
}

/// Where the last `lines` lines of a text begin.
std::size_t begin_of_last(std::string_view text, std::size_t lines) {
  std::size_t begin = text.ends_with('\n') ? text.size() - 1 : text.size();
  for (std::size_t i = 0; i < lines; ++i) {
    const std::size_t end = begin == 0 ? std::string_view::npos : text.rfind('\n', begin - 1);
    if (end == std::string_view::npos) return 0;
    begin = end;
  }
  return begin + 1;
}

}  // namespace

std::string kept_log(int dirfd, const std::string& path) {
  const auto file = sys::try_open_at(dirfd, path, O_RDONLY | O_NONBLOCK);
  if (!file) return {};
  const std::uint64_t size = size_of(file->get());
  if (size <= kWhole) return part_of(file->get(), 0, size);
  constexpr std::uint64_t kHalf = kWhole / 2;
  return cat(part_of(file->get(), 0, kHalf), "\n[cbuild: ", size - kWhole, " bytes were left out here]\n",
             part_of(file->get(), size - kHalf, kHalf));
}

std::string log_tail(const std::string& path) {
  const auto file = sys::try_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  if (!file) return "\n";
  const std::uint64_t size = size_of(file->get()), take = std::min(size, kTail);
  const std::string text = part_of(file->get(), size - take, take);
  std::size_t begin = begin_of_last(text, kTailLines);
  const std::size_t line_end = text.find('\n');
  if (begin == 0 && take < size && line_end != std::string::npos) begin = line_end + 1;  // not in mid-line
  const std::uint64_t above = size - take + begin;
  std::string out = above == 0 ? std::string() : cat("[", format_size(above), " above are in the full log]\n");
  out += sanitize_for_terminal(text.substr(begin));
  if (!out.ends_with('\n')) out += '\n';
  return out;
}

}  // namespace cbuild::cli
