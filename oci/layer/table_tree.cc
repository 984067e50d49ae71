// SPDX-License-Identifier: Apache-2.0
// A layer's tree in memory, with the rules of a file system: names may be replaced or removed with all below them,
// links are resolved from the root, parents are made when they are missing. Nodes lie in one array and freed ones are
// used again; memory is counted, because a hostile archive may have any number of entries. take() numbers the nodes
// that are left, breadth first.
#include "oci/layer/table_tree.h"

#include <limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::uint64_t kMaxBytes = 1ull << 29, kNodeBytes = 512;
constexpr mode_t kImpliedMode = 0755;

void check_component(const std::string& name) {
  if (name.size() > NAME_MAX) throw Error(ErrorCode::corrupt, cat("a name of more than ", NAME_MAX, " bytes"));
}

void push_front(std::deque<std::string>& todo, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  std::erase_if(parts, [](const std::string& part) { return part.empty() || part == "."; });
  todo.insert(todo.begin(), parts.begin(), parts.end());
}

TableNode implied_directory(const TableNode& parent) {
  TableNode out;
  out.type = EntryType::directory;
  out.mode = kImpliedMode;
  out.gid = inherited_group(parent);
  out.implied = true;
  return out;
}

}  // namespace

std::uint32_t inherited_group(const TableNode& parent) { return (parent.mode & S_ISGID) != 0 ? parent.gid : 0; }

TableTree::TableTree() { allocate(implied_directory({}), kRoot); }

void TableTree::charge(std::uint64_t bytes) {
  charged_ += bytes;
  if (charged_ > kMaxBytes) throw Error(ErrorCode::unsupported, "the table of the layer is too large");
}

std::uint32_t TableTree::allocate(TableNode value, std::uint32_t parent) {
  if (free_.empty()) {
    charge(kNodeBytes);
    nodes_.push_back({});
    free_.push_back(static_cast<std::uint32_t>(nodes_.size() - 1));
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  nodes_[index] = {std::move(value), {}, parent};
  return index;
}

std::uint32_t TableTree::child(std::uint32_t directory, const std::string& name) const {
  check_component(name);
  const auto& children = nodes_[directory].children;
  const auto at = children.find(name);
  return at == children.end() ? kNone : at->second;
}

std::uint32_t TableTree::make(std::uint32_t directory, const std::string& name, TableNode value) {
  check_component(name);
  const std::uint32_t index = allocate(std::move(value), directory);
  link(directory, name, index);
  return index;
}

void TableTree::link(std::uint32_t directory, const std::string& name, std::uint32_t node) {
  check_component(name);
  charge(name.size());
  const bool fresh = nodes_[directory].children.emplace(name, node).second;
  CBUILD_CHECK(fresh);
  ++nodes_[node].value.names;
}

void TableTree::remove(std::uint32_t directory, const std::string& name) {
  auto& children = nodes_[directory].children;
  const auto at = children.find(name);
  std::vector<std::uint32_t> gone{at->second};
  children.erase(at);
  last_ = kNone;
  while (!gone.empty()) {
    const std::uint32_t node = gone.back();
    gone.pop_back();
    release(node, gone);
  }
}

/// Takes one name from a node; with the last one it goes, and its children lose theirs.
void TableTree::release(std::uint32_t node, std::vector<std::uint32_t>& gone) {
  if (--nodes_[node].value.names > 0) return;
  for (const auto& [name, child] : std::exchange(nodes_[node].children, {})) gone.push_back(child);
  free_.push_back(node);
}

std::uint32_t TableTree::find_directory(const std::string& path) { return walk(path, false); }
std::uint32_t TableTree::make_directory(const std::string& path) { return walk(path, true); }

std::uint32_t TableTree::walk(const std::string& path, bool make_missing) {
  if (last_ != kNone && path == last_path_) return last_;
  std::deque<std::string> todo;
  push_front(todo, path);
  std::uint32_t here = kRoot;
  for (int symlinks = 0; !todo.empty();) {
    const std::string name = std::move(todo.front());
    todo.pop_front();
    if (name == "..") {
      here = nodes_[here].parent;
      continue;
    }
    std::uint32_t next = child(here, name);
    if (next != kNone && nodes_[next].value.type == EntryType::symlink) {
      if (++symlinks > kMaxSymlinks) throw Error(ErrorCode::corrupt, path + ": too many symlinks");
      const std::string& target = nodes_[next].value.link_target;
      if (target.starts_with('/')) here = kRoot;
      push_front(todo, target);
      continue;
    }
    if (next == kNone && !make_missing) return kNone;
    if (next == kNone) next = make(here, name, implied_directory(nodes_[here].value));
    if (!nodes_[next].value.is_directory()) {
      if (!make_missing) return kNone;
      throw Error(ErrorCode::corrupt, cat(path, ": ", name, " is not a directory"));
    }
    here = next;
  }
  last_path_ = path;
  last_ = here;
  return here;
}

LayerTable TableTree::take() {
  LayerTable out;
  std::vector<std::uint32_t> order{kRoot}, number(nodes_.size(), kNone);
  number[kRoot] = 0;
  for (std::size_t at = 0; at < order.size(); ++at) {
    TableNode& value = nodes_[order[at]].value;
    value.first_child = static_cast<std::uint32_t>(out.names.size());
    for (auto& [name, child] : std::exchange(nodes_[order[at]].children, {})) {
      if (number[child] == kNone) {
        number[child] = static_cast<std::uint32_t>(order.size());
        order.push_back(child);
      }
      out.names.push_back({name, number[child]});
    }
    value.children = static_cast<std::uint32_t>(out.names.size()) - value.first_child;
    if (!value.is_directory()) value.first_child = 0;
    out.nodes.push_back(std::move(value));
  }
  *this = TableTree();
  return out;
}

}  // namespace cbuild::oci::layer
