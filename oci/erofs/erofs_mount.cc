// SPDX-License-Identifier: Apache-2.0
#include "oci/erofs/erofs_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/erofs/erofs_image.h"

namespace cbuild::oci::erofs {
namespace {

constexpr unsigned kAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
constexpr char kProbeName[] = "probe";
constexpr std::size_t kProbeSize = 512;

/// A file system under construction.
class NewMount {
 public:
  explicit NewMount(const char* type)
      : type_(type), fs_(static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC))) {
    if (!fs_) throw_errno(errno, cat("open ", type));
  }
  void set(const char* key, const std::string& value) { config(FSCONFIG_SET_STRING, key, value.c_str(), 0); }
  void set_fd(const char* key, int fd) { config(FSCONFIG_SET_FD, key, nullptr, fd); }
  UniqueFd create() {
    config(FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
    UniqueFd root(static_cast<int>(::syscall(SYS_fsmount, fs_.get(), FSMOUNT_CLOEXEC, kAttributes)));
    if (!root) throw_errno(errno, cat("mount ", type_));
    return root;
  }

 private:
  void config(unsigned command, const char* key, const char* value, int aux) {
    if (::syscall(SYS_fsconfig, fs_.get(), command, key, value, aux) != 0) throw_errno(errno, cat("mount ", type_));
  }
  const char* type_;
  UniqueFd fs_;
};

UniqueFd nameless_file(int dirfd, std::string_view content) {
  UniqueFd file = sys::open_at(dirfd, ".", O_TMPFILE | O_RDWR, 0600);
  sys::write_all(file.get(), content);
  return file;
}

/// A layer of one file, which is its archive's first block.
layer::LayerTable probe_table() {
  layer::LayerTable table;
  table.archive_size = kProbeSize;
  table.nodes.resize(2);
  table.nodes[0].type = layer::EntryType::directory;
  table.nodes[0].mode = 0755;
  table.nodes[0].children = 1;
  table.nodes[1].size = sizeof kProbeName;
  table.nodes[1].names = 1;
  table.nodes[1].extents = {{0, 0, sizeof kProbeName}};
  table.names = {{kProbeName, 1}};
  return table;
}

}  // namespace

UniqueFd mount_image(int image_fd, std::span<const int> parts) {
  NewMount mount("erofs");
  mount.set("source", sys::fd_path(image_fd));
  for (const int part : parts) mount.set("device", sys::fd_path(part));
  return mount.create();
}

bool can_mount_in(int dirfd) noexcept {
  try {
    std::string archive(kProbeSize, '\0');
    archive.replace(0, sizeof kProbeName, kProbeName, sizeof kProbeName);
    const UniqueFd image = nameless_file(dirfd, make_image(probe_table(), nullptr));
    const UniqueFd content = nameless_file(dirfd, archive);
    const UniqueFd layer = mount_image(image.get(), std::array{content.get()});
    NewMount overlay("overlay");
    overlay.set("source", "overlay");
    overlay.set_fd("lowerdir+", layer.get());
    overlay.set_fd("lowerdir+", dirfd);
    const UniqueFd root = overlay.create();
    return sys::read_file_at(root.get(), kProbeName, kProbeSize) == std::string_view(kProbeName, sizeof kProbeName);
  } catch (...) {
    return false;
  }
}

}  // namespace cbuild::oci::erofs
