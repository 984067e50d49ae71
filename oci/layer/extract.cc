// SPDX-License-Identifier: Apache-2.0
// The result is that of a single thread: a later entry replaces an earlier one, links on the way are followed as they
// stand at that moment. Small files are most of the entries and most of the time, and a file that was handed over
// cannot be told from one that is made, unless somebody looks for its name. Hence `known_`: in a directory that was
// made here all names are known without looking, so a file whose name is free may be made later, and an entry whose
// name is taken waits first. Code that looks at names in other ways (a parent that is not found, hard links, whiteouts,
// the removal of a tree) always waits.
#include "oci/layer/extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

constexpr mode_t kOwnerAll = 0700;
constexpr std::uint64_t kMostHandedOver = 256u << 10;  ///< larger ones are written as they come, at the disk's pace

bool is_empty_dir(int fd) { return sys::list_dir(fd).empty(); }

NewFile::Piece copy_of(std::span<const std::byte> bytes) {
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes.size()]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return {{copy.get(), bytes.size()}, 0, copy};
}

void set_mode(const UnpackOptions& options, int parent, const std::string& name, mode_t mode) {
  if (options.side != nullptr) return options.side->give_mode(parent, name.c_str(), mode);
  if (fchmodat(parent, name.c_str(), mode, 0) != 0) throw_errno(errno, name);
}

}  // namespace

Extractor::Extractor(int rootfd, const UnpackOptions& options)
    : options_(options),
      metadata_(options),
      whiteouts_(options.whiteouts, options.user_xattr),
      dirs_(rootfd, {[this] { wait(); },
                     [this](const TargetDir& parent, const std::string& name, const TargetDir& made) {
                       if (options_.side != nullptr) options_.side->give(made.fd.get(), "", {S_IFDIR | 0755});
                       note_made(parent, name);
                       known_.begin(made.inode);
                     }}),
      files_(metadata_, options.threads) {
  if (is_empty_dir(rootfd)) known_.begin(sys::stat_fd(rootfd).st_ino);
}

void Extractor::note_made(const TargetDir& parent, const std::string& name) {
  whiteouts_.note_made(parent, name);
  known_.add(parent.inode, name);
  if (!known_.is_full()) return;
  wait();
  known_.forget();
}

void Extractor::add(const TarMember& member, TarReader& content) {
  const std::string path = clean_member_name(member.entry.name);
  if (path.empty()) return;  // the root belongs to the caller
  const Marker marker = whiteouts_.marker_at(path);
  if (marker == Marker::ignored) return;
  const auto [parent, name] = split_path(path);
  const Place place{dirs_.make(parent), name, path};
  if (marker != Marker::none) return apply_marker(marker, place);
  if (known_.is_taken(place.dir->inode, name)) wait();
  make(place, member, content);
  note_made(*place.dir, place.name);
}

void Extractor::apply_marker(Marker marker, const Place& place) {
  wait();
  if (whiteouts_.apply(marker, *place.dir, place.name)) dirs_.forget();
  if (marker == Marker::whiteout) known_.add(place.dir->inode, place.name.substr(kWhiteoutPrefix.size()));
}

void Extractor::make(const Place& place, const TarMember& member, TarReader& content) {
  switch (member.entry.type) {
    case EntryType::directory:
      return make_directory(place, member);
    case EntryType::file:
      return make_file(place, member, content);
    case EntryType::hardlink:
      return make_hardlink(place, member);
    case EntryType::symlink:
      return make_symlink(place, member);
    case EntryType::fifo:
    case EntryType::char_device:
    case EntryType::block_device:
      return make_node(place, member);
  }
}

/// Removes an entry that is in the way of a new one.
void Extractor::replace(const Place& place) {
  wait();  // it may be a tree that holds files that were handed over
  const auto st = sys::try_stat_at(place.fd(), place.name);
  if (!st) return;
  if (S_ISDIR(st->st_mode)) {
    sys::remove_all_at(place.fd(), place.name);
  } else {
    sys::unlink_at(place.fd(), place.name);
  }
  if (S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode)) dirs_.forget();
}

/// False if there is a directory of that name.
bool Extractor::make_new_directory(const Place& place) {
  if (mkdirat(place.fd(), place.c_name(), kOwnerAll) == 0) return true;
  if (errno != EEXIST) throw_errno(errno, "make directory");
  wait();
  if (S_ISDIR(sys::stat_at(place.fd(), place.name).st_mode)) {
    dirs_.forget();  // under other names it may be known with another setgid bit
    return false;
  }
  const bool opaque = whiteouts_.stands_at(*place.dir, place.name);
  replace(place);
  if (mkdirat(place.fd(), place.c_name(), kOwnerAll) != 0) throw_errno(errno, "make directory");
  if (opaque) whiteouts_.make_opaque(sys::open_at(place.fd(), place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get());
  return true;
}

void Extractor::make_directory(const Place& place, const TarMember& member) {
  const bool is_new = make_new_directory(place);
  UniqueFd fd = sys::open_at(place.fd(), place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  metadata_.apply(fd.get(), member, *place.dir, member.entry.mode | kOwnerAll);
  if (options_.directories != nullptr) options_.directories->insert(place.path);
  late_dirs_.push_back({place.path, member.entry.mode, mtime_of(member)});
  SharedDir dir = make_target_dir(std::move(fd));
  if (is_new) known_.begin(dir->inode);
  dirs_.remember(place.path, std::move(dir));
}

UniqueFd Extractor::create_file(const Place& place) {
  if (auto fd = MemberMetadata::create_file(*place.dir, place.name)) return std::move(*fd);
  replace(place);
  if (auto fd = MemberMetadata::create_file(*place.dir, place.name)) return std::move(*fd);
  throw_errno(EEXIST, "create file");
}

bool Extractor::can_hand_over(const Place& place, const TarMember& member) const {
  return member.entry.size <= kMostHandedOver && known_.is_free(place.dir->inode, place.name);
}

void Extractor::hand_over(const Place& place, const TarMember& member, TarReader& content) {
  NewFile file{place.dir, place.name, member, {}};
  std::span<const std::byte> bytes;
  std::uint64_t offset = 0;
  while (member.has_data && content.data(bytes, offset)) {
    if (bytes.empty()) continue;
    auto keep = content.keep(bytes);
    file.pieces.push_back(keep ? NewFile::Piece{bytes, offset, std::move(keep)} : copy_of(bytes));
    file.pieces.back().offset = offset;
  }
  files_.add(std::move(file));
}

void Extractor::make_file(const Place& place, const TarMember& member, TarReader& content) {
  if (member.entry.size > options_.max_bytes) {
    throw Error(ErrorCode::corrupt, cat("file of ", member.entry.size, " bytes, allowed are ", options_.max_bytes));
  }
  if (can_hand_over(place, member)) return hand_over(place, member, content);
  metadata_.fill_file(create_file(place), member, *place.dir,
                      [&content](auto& bytes, auto& offset) { return content.data(bytes, offset); });
}

void Extractor::make_symlink(const Place& place, const TarMember& member) {
  const char* target = member.entry.link_target.c_str();
  if (symlinkat(target, place.fd(), place.c_name()) != 0) {
    if (errno != EEXIST) throw_errno(errno, "make symlink");
    replace(place);
    if (symlinkat(target, place.fd(), place.c_name()) != 0) throw_errno(errno, "make symlink");
  }
  metadata_.apply_by_name(*place.dir, place.name, member);
}

void Extractor::make_node(const Place& place, const TarMember& member) {
  const TarEntry& entry = member.entry;
  const mode_t type = entry.type == EntryType::fifo          ? S_IFIFO
                      : entry.type == EntryType::char_device ? S_IFCHR
                                                             : S_IFBLK;
  const dev_t device = makedev(entry.device_major, entry.device_minor);
  const auto make_it = [&] { return mknodat(place.fd(), place.c_name(), type | 0600, device) == 0 ? 0 : errno; };
  int err = make_it();
  if (err == EEXIST) {
    replace(place);
    err = make_it();
  }
  if (err == EPERM && entry.type != EntryType::fifo) {
    ++devices_as_files_;
    metadata_.apply(create_file(place).get(), member, *place.dir, entry.mode);
    return;
  }
  if (err != 0) throw_errno(err, "make device");
  metadata_.apply_by_name(*place.dir, place.name, member);
}

void Extractor::make_hardlink(const Place& place, const TarMember& member) {
  wait();
  const std::string shown = sanitize_for_terminal(member.entry.link_target);
  const auto [parent, name] = split_path(clean_member_name(member.entry.link_target));
  const SharedDir dir = dirs_.find(parent);
  const auto st = dir && !name.empty() ? sys::try_stat_at(dir->fd.get(), name) : std::nullopt;
  if (!st) throw Error(ErrorCode::corrupt, cat("hard link to ", shown, ", which is not there"));
  if (S_ISDIR(st->st_mode)) throw Error(ErrorCode::corrupt, cat("hard link to the directory ", shown));
  const auto old = sys::try_stat_at(place.fd(), place.name);
  if (!old || old->st_ino != st->st_ino || old->st_dev != st->st_dev) {
    if (old) replace(place);
    const int err = linkat(dir->fd.get(), name.c_str(), place.fd(), place.c_name(), 0) == 0 ? 0 : errno;
    if (err != 0) throw_errno(err, cat("link to ", shown));
  }
  metadata_.adjust_link(*place.dir, place.name, member, *st);
}

void Extractor::finish() {
  wait();
  for (const LateDir& late : late_dirs_) {
    const auto [parent, name] = split_path(late.path);
    const SharedDir dir = dirs_.find(parent);
    const auto st = dir ? sys::try_stat_at(dir->fd.get(), name) : std::nullopt;
    if (!st || !S_ISDIR(st->st_mode)) continue;  // something else took its place
    // Of several members for one directory the last counts.
    if ((st->st_mode & 07777) != late.mode) set_mode(options_, dir->fd.get(), name, late.mode);
    set_times(dir->fd.get(), name.c_str(), late.mtime);
  }
  late_dirs_.clear();
}

}  // namespace cbuild::oci::layer
