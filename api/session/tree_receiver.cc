// SPDX-License-Identifier: Apache-2.0
// The receiving half of a sync. Each entry is compared with what the tree has at its place: what is the same stays,
// files that are not are asked for, the rest is made at once. The list and the files come from somebody who is not
// trusted, so each step works in an open directory (tree_walk.h), and what is new is made in the staging directory and
// renamed: a symbolic link in the way is replaced, not followed. Directories get their times at the very end, as every
// change in them sets these; until then they differ from the list, which is what the next sync needs to see after a
// failure.
#include "api/session/tree_receiver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr char kNew[] = "new";
constexpr std::size_t kMaxLeftOut = 100;

/// What a sync that was broken off has left.
int emptied(int staging_fd) {
  for (const std::string& name : sys::list_dir(staging_fd)) sys::remove_all_at(staging_fd, name);
  return staging_fd;
}

}  // namespace

TreeReceiver::TreeReceiver(const SyncedDirectory& destination, const SyncLimits& limits, SyncProgress progress,
                           std::function<void(std::uint32_t)> ask)
    : destination_(destination),
      limits_(limits),
      kept_(KeptMetadata::probe(emptied(destination.staging_fd()))),
      walk_(destination.tree_fd(), limits.depth),
      files_(destination, kept_, limits, std::move(progress), std::move(ask)) {}

void TreeReceiver::add(FileStat entry) {
  if (ended_) throw Error(ErrorCode::input, "the client sent a file after the end of its list");
  if (entries_ >= limits_.entries || entries_ == std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorCode::input, cat("the client's directory has more than ", limits_.entries, " entries"));
  entry = kept_.kept_of(std::move(entry));
  TreeWalk::Place place = walk_.next(entry.path);
  if (place.here && S_ISDIR(place.here->st_mode) && !S_ISDIR(entry.mode)) {
    sys::remove_all_at(place.dirfd, place.name);
    place.here.reset();
    change(place.parent);
  }
  if (S_ISDIR(entry.mode))
    add_directory(place, std::move(entry));
  else if (S_ISREG(entry.mode))
    add_file(place, std::move(entry));
  else
    add_special(place, entry);
  ++entries_;
}

void TreeReceiver::add_directory(const TreeWalk::Place& place, FileStat entry) {
  const bool is_there = place.here && S_ISDIR(place.here->st_mode);
  const bool same = is_there && (place.here->st_mode & 0700) == 0700 &&
                    is_same_entry(place.dirfd, place.name, *place.here, entry, kept_);
  TreeWalk::Place entered = place;
  if (!is_there) {
    if (place.here) sys::unlink_at(place.dirfd, place.name);
    entered.here.reset();
    sys::mkdir_at(place.dirfd, place.name, 0700);
    change(place.parent);
  }
  walk_.enter(entered, entry.path, directories_.size());
  directories_.push_back({std::move(entry), !same});
}

void TreeReceiver::add_file(const TreeWalk::Place& place, FileStat entry) {
  if (!entry.link.empty()) {
    change(place.parent);
    linked_.insert(entry.path);
    links_.push_back(std::move(entry));
  } else if (!is_same_file(place, entry)) {
    change(place.parent);
    files_.want(entries_, std::move(entry));
  }
}

/// Two files of the client that are one here would change together.
bool TreeReceiver::is_same_file(const TreeWalk::Place& place, const FileStat& entry) {
  if (!place.here || !is_same_entry(place.dirfd, place.name, *place.here, entry, kept_)) return false;
  return place.here->st_nlink == 1 || claimed_.insert(place.here->st_ino).second;
}

void TreeReceiver::add_special(const TreeWalk::Place& place, const FileStat& entry) {
  if (place.here && is_same_entry(place.dirfd, place.name, *place.here, entry, kept_)) return;
  change(place.parent);
  const bool device = S_ISCHR(entry.mode) || S_ISBLK(entry.mode);
  if (device && !kept_.devices) {
    if (place.here) sys::unlink_at(place.dirfd, place.name);
    if (left_out_.size() < kMaxLeftOut) left_out_.push_back(entry.path);
    return;
  }
  make_special(entry);
  set_metadata_at(destination_.staging_fd(), kNew, entry, kept_);
  sys::rename_at(destination_.staging_fd(), kNew, place.dirfd, place.name);
}

void TreeReceiver::make_special(const FileStat& entry) const {
  const int staging = destination_.staging_fd();
  const bool device = S_ISCHR(entry.mode) || S_ISBLK(entry.mode);
  const int failed = S_ISLNK(entry.mode) ? ::symlinkat(entry.link.c_str(), staging, kNew)
                                         : ::mknodat(staging, kNew, (entry.mode & S_IFMT) | 0600,
                                                     device ? ::makedev(entry.major, entry.minor) : 0);
  if (failed != 0) throw_errno(errno, cat("create ", entry.path));
}

void TreeReceiver::end_entries() {
  if (ended_) throw Error(ErrorCode::input, "the client ended its list of files twice");
  walk_.end();
  ended_ = true;
}

SyncResult TreeReceiver::finish() {
  CBUILD_CHECK(complete());
  for (const FileStat& link : links_) make_link(link);
  for (const std::size_t directory : walk_.take_changed()) change(directory);
  finish_directories();
  SyncResult result{entries_, files_.files(), files_.bytes(), files_.take_incomplete()};
  result.incomplete.insert(result.incomplete.end(), left_out_.begin(), left_out_.end());
  return result;
}

/// All other files are there now, and those that the list does not have are gone: a target that exists is an entry.
void TreeReceiver::make_link(const FileStat& entry) {
  const auto refuse = [&] {
    throw Error(ErrorCode::input, cat("the client's ", go_quote(entry.path), " is a hard link to ",
                                      go_quote(entry.link), ", which is not a file of its list"));
  };
  if (linked_.contains(entry.link)) refuse();
  UniqueFd from, to;
  std::optional<struct stat> target;
  try {
    from = open_directory(destination_.tree_fd(), parent_path(entry.link));
    target = sys::try_stat_at(from.get(), base_name(entry.link));
  } catch (const Error&) {
    refuse();
  }
  if (!target || !S_ISREG(target->st_mode)) refuse();
  to = open_directory(destination_.tree_fd(), parent_path(entry.path));
  const std::string name = base_name(entry.path);
  const auto here = sys::try_stat_at(to.get(), name);
  if (here && here->st_ino == target->st_ino) return;
  if (::linkat(from.get(), base_name(entry.link).c_str(), destination_.staging_fd(), kNew, 0) != 0)
    throw_errno(errno, cat("link ", entry.path));
  sys::rename_at(destination_.staging_fd(), kNew, to.get(), name);
}

/// From the last to the first, as a directory may lose the rights to what is in it.
void TreeReceiver::finish_directories() {
  for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory)
    if (directory->changed)
      set_metadata(open_directory(destination_.tree_fd(), directory->entry.path).get(), directory->entry, kept_);
}

void TreeReceiver::change(std::size_t directory) {
  if (directory != TreeWalk::kRoot) directories_[directory].changed = true;
}

}  // namespace cbuild::api
