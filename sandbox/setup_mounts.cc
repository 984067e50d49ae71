// SPDX-License-Identifier: Apache-2.0
// The mount half of a child's setup. Sources and targets are descriptors throughout: a path of the image is only ever
// given to openat2 with the root as "/", and the opened file gets mounted, whatever happens to the name afterwards.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <climits>
#include <cstring>

#include "sandbox/kernel.h"
#include "sandbox/mount_template.h"
#include "sandbox/setup_attach.h"
#include "sandbox/setup_steps.h"

namespace cbuild::sandbox::setup {
namespace {

using kernel::call;

/// A small text made without allocation; one that does not fit is invalid.
template <std::size_t Size>
class Text {
 public:
  Text& add(const char* part) {
    const std::size_t length = std::strlen(part);
    if (used_ + length >= Size) {
      fits_ = false;
      return *this;
    }
    std::memcpy(text_ + used_, part, length + 1);
    used_ += length;
    return *this;
  }
  Text& add(std::size_t number) {
    char digits[24];
    char* at = digits + sizeof digits - 1;
    *at = '\0';
    do *--at = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    return add(at);
  }
  const char* c_str() const { return text_; }
  bool fits() const { return fits_; }

 private:
  char text_[Size] = {};
  std::size_t used_ = 0;
  bool fits_ = true;
};

Text<48> descriptor_path(int fd) {
  Text<48> path;
  path.add("/proc/self/fd/").add(static_cast<std::size_t>(fd));
  return path;
}

// All features that would let an upper refer to its lowers stay off, so that the upper alone is the layer; an
// existing redirect in a lower is not followed either.
constexpr std::pair<const char*, const char*> kOverlayOptions[] = {
    {"index", "off"}, {"metacopy", "off"}, {"redirect_dir", "nofollow"}, {"xino", "off"}};

bool is_directory(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}

std::uint64_t mount_id(int fd) {
  struct statx info {};
  return call(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) < 0 ? 0 : info.stx_mnt_id;
}

int open_path(const char* path) { return static_cast<int>(call(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC)); }

/// Layers of an overlay: by descriptor, which Linux takes since 6.13, else by a path that leads to it, which costs a
/// walk through /proc.
class LayerSetter {
 public:
  explicit LayerSetter(int fs) : fs_(fs) {}
  int operator()(const char* key, int layer) {
    if (by_descriptor_ && kernel::fs_set_fd(fs_, key, layer) >= 0) return 0;
    by_descriptor_ = false;
    return kernel::fs_set(fs_, key, descriptor_path(layer).c_str());
  }

 private:
  int fs_;
  bool by_descriptor_ = true;
};

int configure_overlay(int fs, const OverlayTree& operation) {
  LayerSetter set_layer(fs);
  int error = kernel::fs_set(fs, "source", "overlay");
  for (std::size_t i = 0; i < operation.lowers.size() && error >= 0; ++i)
    error = set_layer("lowerdir+", operation.lowers[i]);
  if (error >= 0 && operation.upper >= 0) error = set_layer("upperdir", operation.upper);
  if (error >= 0 && operation.upper >= 0) error = set_layer("workdir", operation.work);
  if (error >= 0 && operation.upper >= 0) error = kernel::fs_flag(fs, "volatile");
  for (const auto& [key, value] : kOverlayOptions)
    if (error >= 0) error = kernel::fs_set(fs, key, value);
  if (error >= 0 && operation.user_xattr) error = kernel::fs_flag(fs, "userxattr");
  if (error >= 0 && !operation.context.empty()) error = kernel::fs_set(fs, "context", operation.context.c_str());
  return error < 0 ? error : kernel::fs_create(fs);
}

Text<4096> overlay_options(const OverlayInPlace& operation) {
  Text<4096> options;
  options.add("lowerdir=");
  for (std::size_t i = 0; i < operation.lowers; ++i) options.add(i == 0 ? "" : ":").add(i);
  if (operation.has_base)
    options.add(",upperdir=base/").add(operation.upper.c_str()).add(",workdir=base/").add(operation.work.c_str());
  else if (!operation.read_only)
    options.add(",upperdir=upper,workdir=work");
  if (operation.has_base || !operation.read_only) options.add(",volatile");
  for (const auto& [key, value] : kOverlayOptions) options.add(",").add(key).add("=").add(value);
  if (operation.user_xattr) options.add(",userxattr");
  return options;
}

/// overlayfs that cannot make its work directory, because inodes ran out, mounts read-only and tells only the kernel's
/// log. A step would run without being able to write, and its incomplete changes would be taken for its result.
int check_writable(int tree) {
  struct statfs disk {};
  const long error = call(SYS_fstatfs, tree, &disk);
  if (error < 0) return static_cast<int>(error);
  return (disk.f_flags & ST_RDONLY) != 0 ? -ENOSPC : 0;
}

}  // namespace

int OperationRunner::fail_with_message(int fs, int error) {
  kernel::fs_message(fs, report_.message, sizeof report_.message);
  return close_with(fs, error);
}

int OperationRunner::operator()(const OverlayTree& operation) {
  const int fs = kernel::fs_open("overlay");
  if (fs < 0) return fs;
  int error = configure_overlay(fs, operation);
  if (error >= 0) error = child_.slots[operation.slot] = kernel::fs_mount(fs, operation.attributes);
  if (error >= 0 && operation.upper >= 0) error = check_writable(error);
  if (error < 0) return fail_with_message(fs, error);
  return close_with(fs, 0);
}

int OperationRunner::operator()(const CloneLayers& operation) {
  Slot slot = operation.first_slot;
  for (const int lower : operation.lowers)
    if ((child_.slots[slot++] = kernel::clone_tree(lower, "", false)) < 0) return child_.slots[slot - 1];
  if (operation.base < 0) return 0;
  return child_.slots[slot] = kernel::clone_tree(operation.base, "", false);
}

int OperationRunner::operator()(const CloneTree& operation) {
  const int tree = operation.fd >= 0 ? kernel::clone_tree(operation.fd, "", true)
                                     : kernel::clone_tree(AT_FDCWD, operation.host_path.c_str(), true);
  if (tree < 0) return operation.optional ? 0 : tree;
  child_.slots[operation.slot] = tree;
  return kernel::set_attributes(tree, operation.attributes, true);
}

int OperationRunner::operator()(const EnterMountNamespace& operation) {
  const long entered = call(SYS_setns, child_.mount_template, CLONE_NEWNS);
  return static_cast<int>(entered < 0 ? entered
                                      : call(SYS_unshare, CLONE_NEWNS | (operation.own_cgroup ? CLONE_NEWCGROUP : 0)));
}

int OperationRunner::attach_on_scratch(int tree) {
  const int scratch = open_path(child_.scratch);
  return scratch < 0 ? scratch : close_with(scratch, kernel::attach(tree, scratch));
}

int OperationRunner::operator()(const OverlayInPlace& operation) {
  const int work = new_tmpfs("0700", 0);
  if (work < 0) return work;
  int error = attach_on_scratch(work);
  if (error >= 0) error = static_cast<int>(call(SYS_fchdir, work));
  Slot slot = operation.first_slot;
  for (std::size_t i = 0; i < operation.lowers && error >= 0; ++i)
    error = make_and_attach(work, Text<24>().add(i).c_str(), child_.slots[slot++]);
  if (error >= 0 && operation.has_base) error = make_and_attach(work, "base", child_.slots[slot]);
  for (const char* name : {"upper", "work", "merged"})
    if (error >= 0) error = static_cast<int>(call(SYS_mkdirat, work, name, 0755));
  const auto options = overlay_options(operation);
  if (error >= 0 && !options.fits()) error = -E2BIG;
  if (error >= 0) error = static_cast<int>(call(SYS_mount, "overlay", "merged", "overlay", 0UL, options.c_str()));
  if (error >= 0) error = child_.slots[operation.slot] = open_path("merged");
  if (error >= 0 && (operation.has_base || !operation.read_only)) error = check_writable(error);
  if (error >= 0) error = kernel::set_attributes(child_.slots[operation.slot], operation.attributes, false);
  call(SYS_chdir, "/");
  return close_with(work, error < 0 ? error : 0);
}

int OperationRunner::operator()(const AttachRoot&) {
  root_ = child_.slots[kRootSlot];
  const int target = open_path(MountTemplate::kRoot);
  return target < 0 ? target : close_with(target, kernel::attach(root_, target));
}

int OperationRunner::operator()(const SelectPath& operation) {
  int& tree = child_.slots[operation.slot];
  // A tree can be copied in part only once it is attached (until 6.15).
  if (const int error = attach_on_scratch(tree); error < 0) return error;
  const int inside = kernel::open_in_root(tree, operation.path.c_str(), O_PATH);
  if (inside < 0) return inside;
  tree = close_with(inside, kernel::clone_tree(inside, "", true));
  return tree < 0 ? tree : kernel::set_attributes(tree, 0, true);
}

int OperationRunner::make_target(const std::string& target, bool directory) {
  char path[PATH_MAX];
  if (target.size() >= sizeof path) return -ENAMETOOLONG;
  std::memcpy(path, target.c_str(), target.size() + 1);
  int at = -ENOENT;
  std::size_t end = target.size();
  while (at == -ENOENT && end > 1) {
    end = target.rfind('/', end - 1);
    path[end == 0 ? 1 : end] = '\0';
    at = kernel::open_in_root(root_, path, O_PATH | O_DIRECTORY);
  }
  if (at < 0) return at;
  // Only inside a mount of the step's own: a missing part in the root would become a part of the layer.
  if (mount_id(at) == mount_id(root_)) return close_with(at, -ENOENT);
  std::memcpy(path, target.c_str(), target.size() + 1);
  for (char* name = path + end + 1; at >= 0;) {
    char* slash = std::strchr(name, '/');
    if (slash != nullptr) *slash = '\0';
    const bool make_directory = directory || slash != nullptr;
    const long made = make_directory
                          ? call(SYS_mkdirat, at, name, 0755)
                          : call(SYS_openat, at, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (made < 0 && made != -EEXIST) return close_with(at, static_cast<int>(made));
    if (made > 0) call(SYS_close, made);
    at = close_with(at, kernel::open_beneath(at, name, O_PATH));
    if (slash == nullptr) return at;
    name = slash + 1;
  }
  return at;
}

int OperationRunner::attach_at(int tree, const std::string& target) {
  int at = kernel::open_in_root(root_, target.c_str(), O_PATH);
  if (at == -ENOENT) at = make_target(target, is_directory(tree));
  return at < 0 ? at : close_with(at, kernel::attach(tree, at));
}

int OperationRunner::operator()(const AttachTree& operation) {
  const int tree = child_.slots[operation.slot];
  if (tree < 0) return operation.optional ? 0 : -EBADF;
  return close_with(tree, attach_at(tree, operation.target));
}

int OperationRunner::operator()(const MountFileSystem& operation) {
  const int fs = kernel::fs_open(operation.type.c_str());
  if (fs < 0) return operation.optional ? 0 : fs;
  int error = kernel::fs_set(fs, "source", operation.type.c_str());
  for (const auto& [key, value] : operation.options)
    if (error >= 0)
      error = value.empty() ? kernel::fs_flag(fs, key.c_str()) : kernel::fs_set(fs, key.c_str(), value.c_str());
  if (error >= 0) error = kernel::fs_create(fs);
  if (error >= 0) error = kernel::fs_mount(fs, operation.attributes);
  if (error >= 0) error = close_with(error, attach_at(error, operation.target));
  if (error < 0 && !operation.optional) return fail_with_message(fs, error);
  return close_with(fs, 0);
}

int OperationRunner::open_parent(const std::string& path, const char*& name) {
  char parent[PATH_MAX];
  const std::size_t slash = path.rfind('/');
  if (slash >= sizeof parent) return -ENAMETOOLONG;
  std::memcpy(parent, path.c_str(), slash);
  parent[slash] = '\0';
  name = path.c_str() + slash + 1;
  return kernel::open_in_root(root_, slash == 0 ? "/" : parent, O_PATH | O_DIRECTORY);
}

int OperationRunner::operator()(const MakeDirectory& operation) {
  const char* name = nullptr;
  const int parent = open_parent(operation.path, name);
  if (parent < 0) return parent;
  const int made = static_cast<int>(call(SYS_mkdirat, parent, name, operation.mode));
  return close_with(parent, made == -EEXIST ? 0 : made);
}

int OperationRunner::operator()(const MakeFile& operation) {
  const char* name = nullptr;
  const int parent = open_parent(operation.path, name);
  if (parent < 0) return parent;
  return close_with(parent, static_cast<int>(call(SYS_mknodat, parent, name, S_IFREG | 0666, 0)));
}

int OperationRunner::operator()(const MakeLink& operation) {
  const char* name = nullptr;
  const int parent = open_parent(operation.path, name);
  if (parent < 0) return parent;
  return close_with(parent, static_cast<int>(call(SYS_symlinkat, operation.to.c_str(), parent, name)));
}

int OperationRunner::operator()(const MakeNode& operation) {
  const char* name = nullptr;
  const int parent = open_parent(operation.node.path, name);
  if (parent < 0) return parent;
  const mode_t type = operation.node.type == 'b' ? S_IFBLK : operation.node.type == 'p' ? S_IFIFO : S_IFCHR;
  const dev_t device = makedev(operation.node.major, operation.node.minor);
  int error = static_cast<int>(call(SYS_mknodat, parent, name, type | operation.node.mode, device));
  if (error >= 0)
    error =
        static_cast<int>(call(SYS_fchownat, parent, name, operation.node.uid, operation.node.gid, AT_SYMLINK_NOFOLLOW));
  return close_with(parent, error);
}

int OperationRunner::operator()(const ContentStore&) {
  // Not noexec: each file gets the attributes of its own mount, and a script has to be runnable.
  content_ = new_tmpfs("0700", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  return content_ < 0 ? content_ : attach_on_scratch(content_);
}

int OperationRunner::content_tree(const ContentSource& given, Attributes attributes) {
  const Text<24> name = Text<24>().add(content_count_++);
  const int file =
      static_cast<int>(call(SYS_openat, content_, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (file < 0) return file;
  int error = kernel::write_all(file, given.content.data(), given.content.size());
  if (error >= 0) error = static_cast<int>(call(SYS_fchown, file, given.uid, given.gid));
  if (error >= 0) error = static_cast<int>(call(SYS_fchmod, file, given.mode));
  error = close_with(file, error);
  if (error < 0) return error;
  const int tree = kernel::clone_tree(content_, name.c_str(), false);
  if (tree < 0) return tree;
  error = kernel::set_attributes(tree, attributes, false);
  return error < 0 ? close_with(tree, error) : tree;
}

int OperationRunner::operator()(const AttachContent& operation) {
  const int tree = content_tree(operation.file, operation.attributes);
  return tree < 0 ? tree : close_with(tree, attach_at(tree, operation.target));
}

int OperationRunner::operator()(const Mask& operation) {
  const int target = kernel::open_in_root(root_, operation.path.c_str(), O_PATH);
  if (target < 0) return target == -ENOENT || target == -ENOTDIR ? 0 : target;
  const char* source = is_directory(target) ? MountTemplate::kEmpty : MountTemplate::kNull;
  const int tree = kernel::clone_tree(AT_FDCWD, source, false);
  if (tree < 0) return close_with(target, tree);
  return close_with(target, close_with(tree, kernel::attach(tree, target)));
}

int OperationRunner::operator()(const ReadOnly& operation) {
  const int target = kernel::open_in_root(root_, operation.path.c_str(), O_PATH);
  if (target < 0) return target == -ENOENT || target == -ENOTDIR ? 0 : target;
  const int tree = kernel::clone_tree(target, "", true);
  if (tree < 0) return close_with(target, tree);
  int error =
      kernel::set_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, true);
  if (error >= 0) error = kernel::attach(tree, target);
  return close_with(target, close_with(tree, error));
}

int OperationRunner::operator()(const PivotRoot&) { return kernel::enter_root(root_); }

}  // namespace cbuild::sandbox::setup
