// SPDX-License-Identifier: Apache-2.0
// Overlay takes a limited number of lower directories, and each one costs every lookup. The lower part of a
// long chain is therefore turned into one directory: walked as a merged view, files hard-linked from the
// layers that hold them, directories made again with the metadata that the merged view shows.
#include "cache/flatten.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/duplicate.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/tree.h"
#include "cache/store_impl.h"
#include "cache/unpacker.h"

namespace cbuild::cache {

namespace {

constexpr unsigned kViewLayers = 64;  ///< making a flat directory mounts nothing, so it may look at more

void copy_metadata(const TreeView& from, const std::string& path, const struct stat& st, int to_dir,
                   const std::string& name, SideRecorder* side) {
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (side != nullptr) {
    side->give(to_dir, name.c_str(), {st.st_mode, st.st_uid, st.st_gid, st.st_rdev, from.xattrs(path)});
    if (::utimensat(to_dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, "utimes " + path);
    return;
  }
  if (::fchownat(to_dir, name.c_str(), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    throw_errno(errno, "chown " + path);
  if (!S_ISLNK(st.st_mode) && ::fchmodat(to_dir, name.c_str(), st.st_mode & 07777, 0) != 0)
    throw_errno(errno, "chmod " + path);
  for (const sys::Xattr& xattr : from.xattrs(path)) sys::set_xattr_at(to_dir, name, xattr);
  if (::utimensat(to_dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, "utimes " + path);
}

/// For files that cannot be linked: too many links, or a file system that refuses.
void copy_node(const TreeView& from, const std::string& path, const TreeView::Entry& entry, int to_dir,
               SideRecorder* side) {
  const struct stat& st = entry.st;
  if (S_ISREG(st.st_mode)) {
    const UniqueFd in = from.open(path, O_RDONLY);
    UniqueFd out = sys::open_at(to_dir, entry.name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    sys::copy_file_data(in.get(), out.get(), static_cast<std::uint64_t>(st.st_size));
    out.close_checked();
  } else if (S_ISLNK(st.st_mode)) {
    if (::symlinkat(from.read_link(path).c_str(), to_dir, entry.name.c_str()) != 0)
      throw_errno(errno, "symlink " + path);
  } else if (::mknodat(to_dir, entry.name.c_str(), st.st_mode, st.st_rdev) != 0) {
    if (errno != EPERM || side == nullptr) throw_errno(errno, "mknod " + path);
    sys::open_at(to_dir, entry.name, O_WRONLY | O_CREAT | O_EXCL, 0600).close_checked();
  }
  copy_metadata(from, path, st, to_dir, entry.name, side);
}

class Flattener {
 public:
  Flattener(const TreeView& from, const std::vector<UniqueFd>& layers, SideRecorder* side)
      : from_(from), layers_(layers), side_(side) {}

  void directory(const std::string& path, int to) {
    for (const TreeView::Entry& entry : from_.list(path)) {
      const std::string child = path.empty() ? entry.name : path + "/" + entry.name;
      if (!S_ISDIR(entry.st.st_mode)) {
        link(child, entry, to);
        continue;
      }
      sys::mkdir_at(to, entry.name, 0700);
      directory(child, sys::open_at(to, entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get());
      copy_metadata(from_, child, entry.st, to, entry.name, side_);
    }
  }

 private:
  void link(const std::string& path, const TreeView::Entry& entry, int to) {
    if (::linkat(layers_[entry.layer].get(), path.c_str(), to, entry.name.c_str(), 0) == 0) {
      const SideEntry* known = from_.side(path);
      if (side_ != nullptr && known != nullptr) side_->note(sys::stat_at(to, entry.name), *known);
      return;
    }
    const int err = errno;
    if (err != EMLINK && err != EXDEV && err != EPERM) throw_errno(err, "link " + path);
    copy_node(from_, path, entry, to, side_);
  }

  const TreeView& from_;
  const std::vector<UniqueFd>& layers_;  ///< the same, for linking
  SideRecorder* const side_;
};

Digest chain_of(const std::vector<Digest>& layers) {
  Digest chain;
  for (const Digest& layer : layers) chain = chain_digest(chain, layer);
  return chain;
}

std::vector<UniqueFd> duplicate_all(const std::vector<UniqueFd>& fds) {
  std::vector<UniqueFd> out;
  for (const UniqueFd& fd : fds) out.push_back(duplicate(fd.get()));
  return out;
}

std::optional<UniqueFd> open_made(Store& store, const std::string& name) {
  const int flats = store.impl().dir(Dir::flats);
  const auto boot = sys::try_open_at(flats, name + "/boot", O_RDONLY);
  if (!boot || sys::read_all(boot->get(), 4096) != sys::boot_id()) return std::nullopt;
  auto tree = sys::try_open_at(flats, name + "/fs", O_PATH | O_DIRECTORY);
  if (tree && SideMetadata::says_owners_apart(tree->get()) != store.owners_apart()) tree.reset();
  return tree;
}

void make(Store& store, const Digest& chain, const std::vector<Digest>& layers, unsigned max_layers) {
  const std::vector<UniqueFd> lowers = open_lowers_of(store, layers, max_layers);
  const TreeView view(duplicate_all(lowers), true, store.impl().user_xattr);
  Staging staging = store.stage("flat");
  Flattener(view, lowers, staging.side()).directory("", staging.tree_fd());
  copy_metadata(view, "", view.lookup("")->st, staging.tree_fd(), ".", staging.side());
  if (staging.side() != nullptr) staging.side()->save(staging.tree_fd());
  const int tmp = store.impl().dir(Dir::tmp), flats = store.impl().dir(Dir::flats);
  const std::string& staged = Store::Impl::name_of(staging);
  sys::write_file_at(tmp, staged + "/boot", sys::boot_id());
  if (sys::try_stat_at(flats, chain.hex())) sys::rename_at(flats, chain.hex(), tmp, store.impl().temp_name());
  sys::rename_at(tmp, staged, flats, chain.hex());
}

}  // namespace

std::size_t flat_prefix(std::size_t count, unsigned max_layers) {
  const std::size_t most = std::max(1u, max_layers);
  if (count <= most) return 0;
  const std::size_t step = std::max<std::size_t>(1, most / 2), least = count - most + 1;
  return std::min(count, (least + step - 1) / step * step);
}

UniqueFd open_flat(Store& store, const std::vector<Digest>& layers, unsigned max_layers) {
  const Digest chain = chain_of(layers);
  if (auto made = open_made(store, chain.hex())) return std::move(*made);
  const auto lock = store.wait_lock("flat-" + chain.hex(), nullptr);
  if (auto made = open_made(store, chain.hex())) return std::move(*made);
  make(store, chain, layers, std::max(kViewLayers, max_layers));
  auto made = open_made(store, chain.hex());
  if (!made) throw Error(ErrorCode::missing_content, cat("store: flat directory of ", chain.str(), " vanished"));
  return std::move(*made);
}

}  // namespace cbuild::cache
