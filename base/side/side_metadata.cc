// SPDX-License-Identifier: Apache-2.0
// While a tree is made, entries are known by inode, so that links, renames and replaced names need no care; what is
// written goes by path, so that a copy of the store stays right. The file is a header, then for each entry some texts
// that end with a NUL.
#include "base/side/side_metadata.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/fd.h"
#include "base/owner.h"
#include "base/process/process_limits.h"
#include "base/text.h"

namespace cbuild {
namespace {

constexpr char kName[] = "side", kFile[] = "../side";
constexpr std::string_view kApart = "cbuild side metadata 1 apart", kOwn = "cbuild side metadata 1 own";
constexpr std::size_t kMaxSide = 1u << 30;
constexpr int kAt = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;

struct stat stat_of(int directory, const char* name) {
  struct stat st {};
  if (::fstatat(directory, name, &st, kAt) != 0) throw_errno(errno, cat("stat ", name));
  return st;
}

void add(std::string& out, std::string_view text) {
  out += text;
  out += '\0';
}

std::string encode(const SideMetadata& side) {
  std::string out;
  add(out, side.owners_apart() ? kApart : kOwn);
  std::vector<const SideMetadata::Entries::value_type*> sorted;
  for (const auto& entry : side.entries()) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  for (const auto* entry : sorted) {
    const auto& [wanted, stored_mode] = entry->second;
    add(out, entry->first);
    add(out, cat(wanted.mode, ' ', wanted.uid, ' ', wanted.gid, ' ', wanted.device, ' ', stored_mode, ' ',
                 wanted.xattrs.size()));
    for (const sys::Xattr& xattr : wanted.xattrs) {
      add(out, xattr.name);
      add(out, cat(xattr.value.size()));
      add(out, xattr.value);
    }
  }
  return out;
}

/// Takes the texts of an encoded file apart.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  SideMetadata read() {
    const std::string_view header = text();
    if (header != kApart && header != kOwn) refuse();
    SideMetadata::Entries entries;
    while (!rest_.empty()) {
      std::string path(text());
      entries.emplace(std::move(path), entry());
    }
    return {std::move(entries), header == kApart};
  }

 private:
  [[noreturn]] static void refuse() { throw Error(ErrorCode::corrupt, "the side metadata of a layer is damaged"); }

  std::string_view text() {
    const std::size_t end = rest_.find('\0');
    if (end == std::string_view::npos) refuse();
    return take(end);
  }
  std::string_view take(std::size_t size) {
    if (size >= rest_.size()) refuse();
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return out;
  }
  static std::uint64_t number(const std::string& text) {
    const auto value = parse_int(text);
    if (!value || *value < 0) refuse();
    return static_cast<std::uint64_t>(*value);
  }
  SideEntry entry() {
    const std::vector<std::string> numbers = split(std::string(text()), ' ');
    if (numbers.size() != 6) refuse();
    SideEntry out;
    out.wanted.mode = static_cast<mode_t>(number(numbers[0]));
    out.wanted.uid = static_cast<uid_t>(number(numbers[1]));
    out.wanted.gid = static_cast<gid_t>(number(numbers[2]));
    out.wanted.device = number(numbers[3]);
    out.stored_mode = static_cast<mode_t>(number(numbers[4]));
    for (std::uint64_t left = number(numbers[5]); left > 0; --left) {
      std::string name(text());
      const std::uint64_t size = number(std::string(text()));
      out.wanted.xattrs.push_back({std::move(name), std::string(take(size))});
    }
    return out;
  }

  std::string_view rest_;
};

/// Nothing for the root of a file system that is mounted nowhere: there ".." is the root itself, whose content is that
/// of the layer.
std::optional<UniqueFd> open_side(int tree) {
  const auto above = sys::try_open_at(tree, "..", O_PATH | O_DIRECTORY);
  if (!above) return std::nullopt;
  const struct stat own = sys::stat_fd(tree), next = sys::stat_fd(above->get());
  if (own.st_ino == next.st_ino && own.st_dev == next.st_dev) return std::nullopt;
  return sys::try_open_at(above->get(), kName, O_RDONLY | O_NOFOLLOW);
}

std::vector<sys::Xattr> set_xattrs(int directory, const char* name, const Metadata& wanted) {
  std::vector<sys::Xattr> missing;
  const std::string at = *name == '\0' ? "." : name;
  for (const sys::Xattr& xattr : wanted.xattrs) {
    const bool set = *name == '\0' && !S_ISDIR(wanted.mode)
                         ? ::fsetxattr(directory, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0
                         : sys::set_xattr_at(directory, at, xattr);
    if (!set) missing.push_back(xattr);
  }
  if (!S_ISREG(wanted.mode) && !S_ISDIR(wanted.mode)) missing.clear();  // no layer has them
  return missing;
}

void change_mode(int directory, const char* name, mode_t mode) {
  const int failed = *name == '\0' ? ::fchmod(directory, mode) : ::fchmodat(directory, name, mode, 0);
  if (failed != 0) throw_errno(errno, "set mode");
}

/// Descends by descriptor with the path of each entry.
template <typename Visit>
void walk(int directory, const std::string& path, const Visit& visit) {
  for (const std::string& name : sys::list_dir(directory)) {
    const struct stat st = sys::stat_at(directory, name);
    const std::string child = path.empty() ? name : cat(path, '/', name);
    visit(child, st);
    if (S_ISDIR(st.st_mode))
      walk(sys::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get(), child, visit);
  }
}

}  // namespace

SideMetadata::SideMetadata(Entries entries, bool owners_apart)
    : entries_(std::move(entries)), owners_apart_(owners_apart), own_uid_(::geteuid()), own_gid_(::getegid()) {}

std::shared_ptr<const SideMetadata> SideMetadata::read(int tree) {
  const auto file = open_side(tree);
  if (!file) return nullptr;
  return std::make_shared<const SideMetadata>(Decoder(sys::read_all(file->get(), kMaxSide)).read());
}

bool SideMetadata::says_owners_apart(int tree) {
  const auto file = open_side(tree);
  if (!file) return false;
  std::string head(kApart.size() + 1, '\1');
  (void)sys::pread_all(file->get(), std::as_writable_bytes(std::span(head)), 0);
  return std::string_view(head).substr(0, kApart.size()) == kApart && head.back() == '\0';
}

const SideEntry* SideMetadata::find(const std::string& path) const {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second;
}

void SideMetadata::correct(const std::string& path, struct stat& st) const {
  const SideEntry* entry = entries_.empty() ? nullptr : find(path);
  if (owners_apart_) {  // in a user namespace a command may have given a file to another mapped user
    if (own_uid_ != 0 || st.st_uid == 0) st.st_uid = entry ? entry->wanted.uid : 0;
    if (own_uid_ != 0 || st.st_gid == 0) st.st_gid = entry ? entry->wanted.gid : 0;
  }
  if (entry == nullptr) return;
  const mode_t bits = st.st_mode == entry->stored_mode ? entry->wanted.mode : st.st_mode;
  if ((st.st_mode & S_IFMT) != (entry->wanted.mode & S_IFMT)) st.st_size = 0;
  st.st_mode = (entry->wanted.mode & S_IFMT) | (bits & 07777);
  st.st_rdev = entry->wanted.device;
}

SideRecorder::SideRecorder(bool owners_apart)
    : owners_apart_(owners_apart), own_uid_(::geteuid()), own_gid_(::getegid()) {}

void SideRecorder::give(int directory, const char* name, const Metadata& wanted) {
  if (!owners_apart_) {
    sys::set_owner(directory, name, wanted.uid, wanted.gid);
  } else if (own_uid_ == 0) {
    (void)::fchownat(directory, name, wanted.uid, wanted.gid, kAt);
  }
  std::vector<sys::Xattr> missing = set_xattrs(directory, name, wanted);
  if (!S_ISLNK(wanted.mode)) {
    static const bool reads_everything = has_capability(CAP_DAC_OVERRIDE);
    const mode_t needed = reads_everything ? 0 : S_ISDIR(wanted.mode) ? 0700 : 0400;
    change_mode(directory, name, (wanted.mode & 07777) | needed);
  }
  store(stat_of(directory, name), wanted, std::move(missing));
}

void SideRecorder::store(const struct stat& st, const Metadata& wanted, std::vector<sys::Xattr> missing) {
  const mode_t mode = S_ISLNK(wanted.mode) ? st.st_mode : wanted.mode;
  const bool owner_is_right = !owners_apart_ || (own_uid_ != 0 ? wanted.uid == 0 && wanted.gid == 0
                                                               : st.st_uid == wanted.uid && st.st_gid == wanted.gid);
  const std::lock_guard lock(mutex_);
  if (owner_is_right && st.st_mode == mode && missing.empty()) {
    entries_.erase(st.st_ino);  // of an entry that is gone
  } else {
    entries_[st.st_ino] = {{mode, wanted.uid, wanted.gid, wanted.device, std::move(missing)}, st.st_mode};
  }
}

void SideRecorder::give_mode(int directory, const char* name, mode_t mode) {
  struct stat st = stat_of(directory, name);
  Metadata wanted{(st.st_mode & S_IFMT) | (mode & 07777), owners_apart_ ? 0 : st.st_uid, owners_apart_ ? 0 : st.st_gid};
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(st.st_ino); found != entries_.end()) {
      wanted = found->second.wanted;
      wanted.mode = (wanted.mode & S_IFMT) | (mode & 07777);
    } else if (owners_apart_ && own_uid_ == 0) {
      wanted.uid = st.st_uid;
      wanted.gid = st.st_gid;
    }
  }
  give(directory, name, wanted);
}

void SideRecorder::note(const struct stat& st, const SideEntry& entry) {
  const std::lock_guard lock(mutex_);
  entries_[st.st_ino] = entry;
}

void SideRecorder::keep_only(int tree, const SideMetadata& side) {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  for (const auto& [path, entry] : side.entries())
    entries_[sys::stat_at(tree, path.empty() ? "." : path).st_ino] = entry;
}

SideMetadata SideRecorder::list(int tree) const {
  SideMetadata::Entries out;
  const std::lock_guard lock(mutex_);
  const auto take = [&](const std::string& path, const struct stat& st) {
    const auto found = entries_.find(st.st_ino);
    if (found != entries_.end() && ((found->second.stored_mode ^ st.st_mode) & S_IFMT) == 0)
      out.emplace(path, found->second);
  };
  if (!entries_.empty()) {
    const UniqueFd root = sys::open_at(tree, ".", O_RDONLY | O_DIRECTORY);
    take("", sys::stat_fd(root.get()));
    walk(root.get(), "", take);
  }
  return {std::move(out), owners_apart_};
}

void SideRecorder::save(int tree) const {
  const SideMetadata side = list(tree);
  if (owners_apart_ || !side.entries().empty()) write_side_metadata(tree, side);
}

void write_side_metadata(int tree, const SideMetadata& side) {
  UniqueFd file = sys::open_at(tree, kFile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  sys::write_all(file.get(), encode(side));
  file.close_checked();
}

bool may_give_files_away() {
  constexpr uid_t kNobody = 65534;
  const UniqueFd file(::memfd_create("cbuild", MFD_CLOEXEC));
  return !file || ::fchown(file.get(), kNobody, kNobody) == 0;
}

}  // namespace cbuild
