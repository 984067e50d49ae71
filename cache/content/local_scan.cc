// SPDX-License-Identifier: Apache-2.0
// The warm scan is nothing but getdents and one stat for each name, compared with the rows of the table. It begins on
// the calling thread; only a tree that turns out to be large is given to TBB, a directory a task, and a very large
// directory in pieces.
//
// A file is remembered only if nobody can have changed it unseen: its ctime must lie further back than the
// clock that stamps files is coarse, at the moment before it was read, and its id must be the same afterwards
// (git's "racy" rule, on ctime).
#include "cache/content/local_scan.h"

#include <fcntl.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_for_each.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/open_real.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kSerialEntries = 2'000;
constexpr std::size_t kPiece = 256;
constexpr std::size_t kSmallFile = 64u << 10;

void set_metadata(ContentEntry& entry, const struct stat& st) {
  entry.mode = st.st_mode;
  entry.device = st.st_rdev;
  entry.id = stat_id(st);
  entry.size = entry.id.size;
}

Digest hash_file(int fd, std::uint64_t size) {
  if (size > kSmallFile) return sha256_fd(fd);
  thread_local std::string buffer(kSmallFile + 1, '\0');
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const std::size_t got = sys::read_some(fd, std::as_writable_bytes(std::span(buffer)).subspan(filled));
    if (got == 0) return sha256({buffer.data(), filled});
    filled += got;
  }
  Sha256 hash;  // it grew meanwhile
  hash.update(std::string_view(buffer.data(), filled));
  for (std::size_t got; (got = sys::read_some(fd, std::as_writable_bytes(std::span(buffer)))) > 0;) {
    hash.update(std::string_view(buffer.data(), got));
  }
  return hash.finish();
}

/// Reads a file, a link or a directory's xattrs. False if it vanished.
bool learn(int parent, ContentEntry& entry) {
  const std::int64_t before = sys::now_ns();
  if (S_ISLNK(entry.mode)) {
    entry.content = sha256(sys::readlink_at(parent, entry.name));
  } else if (S_ISREG(entry.mode) || S_ISDIR(entry.mode)) {
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | (S_ISDIR(entry.mode) ? O_DIRECTORY : 0);
    const auto file = sys::try_open_at(parent, entry.name, flags);
    if (!file) return false;
    set_metadata(entry, sys::stat_fd(file->get()));
    if (S_ISREG(entry.mode)) entry.content = hash_file(file->get(), entry.id.size);
    entry.xattrs = xattr_digest(sys::list_xattrs(file->get()));
    entry.cacheable = entry.fresh = stat_id(sys::stat_fd(file->get())) == entry.id && is_settled(entry.id, before);
    return true;
  }
  entry.cacheable = entry.fresh = is_settled(entry.id, before);
  return true;
}

/// Fills an entry from one stat and the table, or by reading it. False if it is not there (any more).
bool fill(int parent, ContentEntry& entry, const StatTable::Block& block, std::size_t& hint) {
  struct stat st;
  if (::fstatat(parent, entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    const int err = errno;
    if (err == ENOENT) return false;
    throw_errno(err, "stat " + entry.name);
  }
  set_metadata(entry, st);
  if (const auto known = block.find(entry.name, hint); known && known->id == entry.id) {
    entry.content = known->content;
    entry.xattrs = known->xattrs;
    entry.cacheable = true;
    return true;
  }
  try {
    return learn(parent, entry);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return false;
    throw;
  }
}

/// Entries that are not there keep mode 0.
void fill_all(int dir, std::vector<ContentEntry>& entries, const StatTable::Block& block) {
  const auto fill_range = [&](std::size_t begin, std::size_t end) {
    std::size_t hint = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (!fill(dir, entries[i], block, hint)) entries[i].mode = 0;
    }
  };
  if (entries.size() < 4 * kPiece) return fill_range(0, entries.size());
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, entries.size(), kPiece),
                    [&](const auto& range) { fill_range(range.begin(), range.end()); });
}

}  // namespace

struct LocalScan::Task {
  std::shared_ptr<ContentDirectory> directory;
  std::string path;
  PathPatternList::ParentMatch match;
};

ContentEntry LocalScan::read_header(const std::string& path) const {
  const auto parent = open_real(root_fd_, parent_path(path), O_RDONLY | O_DIRECTORY);
  ContentEntry entry;
  entry.name = path.empty() ? "." : base_name(path);
  std::size_t hint = 0;
  if (!parent || !fill(parent->get(), entry, table_.directory(parent_path(path)), hint)) {
    throw Error(ErrorCode::not_found, cat("\"/", path, "\": not found"));
  }
  if (entry.fresh && !path.empty()) changed_.store(true, std::memory_order_relaxed);
  return entry;
}

ContentEntry LocalScan::read(const std::string& path) const {
  ContentEntry entry = read_header(path);
  if (!S_ISDIR(entry.mode)) return entry;
  if (auto known = known_(path)) {
    entry.directory = std::move(known);
    return entry;
  }
  entry.directory = std::make_shared<ContentDirectory>();
  Task task{entry.directory, path, {}};
  for (std::size_t end = 0; !ignore_.empty() && !path.empty() && end != std::string::npos;) {
    end = path.find('/', end + 1);
    PathPatternList::ParentMatch self;
    (void)ignore_.matches(std::string_view(path).substr(0, end), task.match, self);
    task.match = std::move(self);
  }
  run(std::move(task));
  if (ignore_.has_negation()) drop_childless(*entry.directory);
  return entry;
}

void LocalScan::run(Task first) const {
  std::vector<Task> todo{std::move(first)};
  for (std::size_t seen = 0; !todo.empty() && seen < kSerialEntries;) {
    const Task task = std::move(todo.back());
    todo.pop_back();
    std::vector<Task> below = scan(task);
    seen += task.directory->entries.size() + 1;
    std::move(below.begin(), below.end(), std::back_inserter(todo));
  }
  if (todo.empty()) return;
  tbb::parallel_for_each(todo.begin(), todo.end(), [this](const Task& task, tbb::feeder<Task>& feeder) {
    for (Task& below : scan(task)) feeder.add(std::move(below));
  });
}

/// Names that are to be looked at, sorted, and the verdicts their children need.
std::vector<PathPatternList::ParentMatch> LocalScan::list(int dir, const Task& task) const {
  std::vector<PathPatternList::ParentMatch> matches;
  std::vector<std::string> names = sys::list_dir(dir);
  task.directory->entries.reserve(names.size());
  for (std::string& name : names) {
    ContentEntry entry;
    if (!ignore_.empty()) {
      PathPatternList::ParentMatch self;
      entry.only_for_children = ignore_.matches(child_path(task.path, name), task.match, self);
      if (entry.only_for_children && !ignore_.has_negation()) {
        task.directory->ignored.push_back(std::move(name));
        continue;
      }
      matches.push_back(std::move(self));
    }
    entry.name = std::move(name);
    task.directory->entries.push_back(std::move(entry));
  }
  return matches;
}

std::vector<LocalScan::Task> LocalScan::scan(const Task& task) const {
  std::vector<Task> below;
  const auto dir = open_real(root_fd_, task.path, O_RDONLY | O_DIRECTORY);
  if (!dir) return below;  // vanished
  std::vector<PathPatternList::ParentMatch> matches = list(dir->get(), task);
  std::vector<ContentEntry>& entries = task.directory->entries;
  fill_all(dir->get(), entries, table_.directory(task.path));
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    ContentEntry& entry = entries[i];
    if (entry.mode == 0 || (entry.only_for_children && !S_ISDIR(entry.mode))) {
      task.directory->ignored.push_back(std::move(entry.name));
      continue;
    }
    if (entry.fresh) changed_.store(true, std::memory_order_relaxed);
    if (S_ISDIR(entry.mode)) {
      std::string path = child_path(task.path, entry.name);
      entry.directory = known_(path);
      if (!entry.directory) {
        entry.directory = std::make_shared<ContentDirectory>();
        below.push_back({entry.directory, std::move(path),
                         matches.empty() ? PathPatternList::ParentMatch{} : std::move(matches[i])});
      }
    }
    if (kept != i) entries[kept] = std::move(entry);
    ++kept;
  }
  entries.resize(kept);
  return below;
}

}  // namespace cbuild::cache
