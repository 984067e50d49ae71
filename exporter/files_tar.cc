// SPDX-License-Identifier: Apache-2.0
// Merged root file systems as a tar. Entries come in sorted order, and files of one inode become hard links.
#include "exporter/files_tar.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/unpacker.h"
#include "oci/layer/planned_entry.h"
#include "oci/layer/tar_writer.h"

namespace cbuild::exporter {
namespace {

constexpr std::size_t kFileBuffer = 1u << 20;

/// Directories that the members of a tar have made.
using Directories = std::set<std::string>;

/// Walks one merged view in sorted order into a tar that others share.
class ViewTar {
 public:
  ViewTar(const FileTree& tree, const CancelSource* cancel, oci::layer::TarWriter& tar, Directories& made)
      : tree_(tree), cancel_(cancel), tar_(tar), made_(made), buffer_(kFileBuffer) {
    if (tree.prefix.empty()) return;
    const std::int64_t now = sys::now_ns() / 1'000'000'000;
    tar_.entry({.name = tree.prefix,
                .type = oci::layer::EntryType::directory,
                .mode = 0755,
                .mtime_s = std::min(now, tree.clamp_mtime_s.value_or(now))});
  }

  void extra_files() {
    for (const auto& [name, text] : tree_.extra_files) {
      if (tree_.view.lookup(name))
        throw Error(ErrorCode::input, cat("the result has a file ", name, ", and so has an attestation"))
            .with_hint("another name: attestation-prefix= of --output");
      const std::int64_t now = sys::now_ns() / 1'000'000'000;
      tar_.entry({.name = child_path(tree_.prefix, name),
                  .mode = 0600,
                  .size = text.size(),
                  .mtime_s = std::min(now, tree_.clamp_mtime_s.value_or(now))});
      tar_.data(std::as_bytes(std::span(text)));
    }
  }

  void directory(const std::string& path) {
    for (const auto& entry : tree_.view.list(path)) {
      if (cancel_) cancel_->check();
      const std::string name = child_path(path, entry.name);
      if (S_ISSOCK(entry.st.st_mode)) continue;
      const bool is_directory = S_ISDIR(entry.st.st_mode);
      if (!is_directory || made_.insert(child_path(tree_.prefix, name)).second) write(entry, name);
      if (is_directory) directory(name);
    }
  }

 private:
  void write(const cache::TreeView::Entry& found, const std::string& name) {
    oci::layer::TarEntry entry = describe(found, name);
    if (entry.type == oci::layer::EntryType::file && found.st.st_nlink > 1) {
      const auto [known, fresh] = links_.try_emplace({found.layer, {found.st.st_dev, found.st.st_ino}}, entry.name);
      if (!fresh) {
        entry.type = oci::layer::EntryType::hardlink;
        entry.link_target = known->second;
        entry.size = 0;
      }
    }
    tar_.entry(entry);
    if (entry.type == oci::layer::EntryType::file) content(name, entry.size);
  }

  oci::layer::TarEntry describe(const cache::TreeView::Entry& found, const std::string& name) const {
    using Type = oci::layer::EntryType;
    const struct stat& st = found.st;
    oci::layer::TarEntry entry{
        .name = child_path(tree_.prefix, name), .mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid};
    entry.mtime_s = std::min<std::int64_t>(st.st_mtim.tv_sec, tree_.clamp_mtime_s.value_or(st.st_mtim.tv_sec));
    switch (st.st_mode & S_IFMT) {
      case S_IFDIR:
        entry.type = Type::directory;
        break;
      case S_IFLNK:
        entry.type = Type::symlink;
        entry.link_target = tree_.view.read_link(name);
        break;
      case S_IFIFO:
        entry.type = Type::fifo;
        break;
      case S_IFCHR:
        entry.type = Type::char_device;
        break;
      case S_IFBLK:
        entry.type = Type::block_device;
        break;
      default:
        entry.size = static_cast<std::uint64_t>(st.st_size);
        break;
    }
    if (entry.type == Type::char_device || entry.type == Type::block_device) {
      entry.device_major = major(st.st_rdev);
      entry.device_minor = minor(st.st_rdev);
    }
    entry.xattrs = oci::layer::layer_xattrs(tree_.view.xattrs(name));
    return entry;
  }

  void content(const std::string& name, std::uint64_t size) {
    const UniqueFd fd = tree_.view.open(name, O_RDONLY);
    while (size > 0) {
      const std::size_t got =
          sys::read_some(fd.get(), std::span(buffer_).first(std::min<std::uint64_t>(size, buffer_.size())));
      if (got == 0) throw Error(ErrorCode::io, cat("/", name, " became shorter while it was read"));
      tar_.data(std::span(buffer_).first(got));
      size -= got;
    }
  }

  const FileTree& tree_;
  const CancelSource* cancel_;
  oci::layer::TarWriter& tar_;
  Directories& made_;
  std::vector<std::byte> buffer_;
  std::map<std::pair<std::size_t, std::pair<dev_t, ino_t>>, std::string> links_;
};

/// The entry of a path, and whose it is.
struct Claim {
  bool is_directory = false;
  const FileTree* owner = nullptr;
};

void claim_paths(const FileTree& tree, const std::string& path, std::map<std::string, Claim>& claims) {
  for (const auto& entry : tree.view.list(path)) {
    const std::string name = child_path(path, entry.name);
    const bool is_directory = S_ISDIR(entry.st.st_mode);
    const auto [known, fresh] = claims.try_emplace(child_path(tree.prefix, name), Claim{is_directory, &tree});
    if (!fresh && !(is_directory && known->second.is_directory))
      throw Error(ErrorCode::input, cat("/", name, " of ", tree.platform, " would replace that of ",
                                        known->second.owner->platform, " (platform-split=false)"))
          .with_hint("without platform-split=false each platform gets a directory of its own");
    if (is_directory) claim_paths(tree, name, claims);
  }
}

}  // namespace

cache::TreeView open_rootfs(cache::Store& store, const Digest& chain) {
  return chain.empty() ? cache::TreeView({}, true) : cache::open_view(store, chain);
}

void write_files_tar(std::span<const FileTree> trees, const CancelSource* cancel, const oci::layer::ByteSink& sink) {
  oci::layer::TarWriter tar(sink);
  Directories made;
  for (const FileTree& tree : trees) {
    ViewTar files(tree, cancel, tar, made);
    files.directory("");
    files.extra_files();
  }
  tar.finish();
}

void check_distinct(std::span<const FileTree> trees) {
  std::map<std::string, Claim> claims;
  for (const FileTree& tree : trees) claim_paths(tree, "", claims);
}

}  // namespace cbuild::exporter
