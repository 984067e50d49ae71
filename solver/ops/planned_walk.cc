// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/planned_walk.h"

#include <sys/sysmacros.h>

namespace cbuild::solver::ops {
namespace {

using oci::layer::EntryType;
using oci::layer::PlannedEntry;

void fill_header(const PlannedNode& node, oci::layer::TarEntry& header) {
  header.type = entry_type(node.mode);
  header.mode = node.mode & 07777;
  header.uid = node.owner.uid;
  header.gid = node.owner.gid;
  header.mtime_s = node.mtime.tv_sec;
  if (S_ISLNK(node.mode)) header.link_target = node.text;
  if (S_ISDIR(node.mode) || S_ISREG(node.mode)) header.xattrs = oci::layer::layer_xattrs(node.xattrs);
  if (S_ISCHR(node.mode) || S_ISBLK(node.mode)) {
    header.device_major = major(node.device);
    header.device_minor = minor(node.device);
  }
}

}  // namespace

EntryType entry_type(mode_t mode) {
  if (S_ISDIR(mode)) return EntryType::directory;
  if (S_ISLNK(mode)) return EntryType::symlink;
  if (S_ISFIFO(mode)) return EntryType::fifo;
  if (S_ISCHR(mode)) return EntryType::char_device;
  return S_ISBLK(mode) ? EntryType::block_device : EntryType::file;
}

const oci::layer::SharedFd& SourceOpener::open(const std::shared_ptr<const SourceDirectory>& directory) {
  if (last_ != directory) {
    fd_ = std::make_shared<const UniqueFd>(directory->tree->open_directory(directory->layer, directory->path));
    last_ = directory;
  }
  return fd_;
}

PlannedWalk::PlannedWalk(const PlannedTree& tree) {
  levels_.push_back({tree.root().children.begin(), tree.root().children.end(), 0});
}

bool PlannedWalk::next(PlannedEntry& entry) {
  while (!levels_.empty() && levels_.back().at == levels_.back().end) levels_.pop_back();
  if (levels_.empty()) return false;
  Level& level = levels_.back();
  const auto& [name, node] = *level.at++;
  path_.resize(level.path_size);
  if (!path_.empty()) path_ += '/';
  path_ += name;
  entry = {};
  entry.header.name = path_;
  fill_header(node, entry.header);
  if (node.source) {
    entry.directory = opener_.open(node.source);
    entry.source_name = node.source_name;
    entry.link_group = node.link_group;
  } else if (S_ISREG(node.mode)) {
    entry.content = node.text;
  }
  if (S_ISDIR(node.mode)) levels_.push_back({node.children.begin(), node.children.end(), path_.size()});
  return true;
}

}  // namespace cbuild::solver::ops
