// SPDX-License-Identifier: Apache-2.0
// A directory of the merged view is the list of layers whose directory of that name takes part, topmost
// first: it ends at the first layer that has something else there, or whose directory is opaque. Such lists
// are kept, so a lookup below costs one stat in each layer that really has the parent. The root takes part in
// every layer; where a stack is deep, the names of each layer's directory are read once, for all views that
// share the layer, and only the layers that may hold a name are asked for it.
#include "cache/content/tree.h"

#include <fcntl.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "cache/content/layer_dir.h"
#include "cache/content/layer_tree.h"
#include "cache/content/open_real.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kDeep = 12;  ///< layers in a directory that make reading their names pay
constexpr std::size_t kMaxKeptDirectories = 1u << 16;

std::string name_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_overlay_xattr(const std::string& name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

struct stat empty_root() {
  struct stat st {};
  st.st_mode = S_IFDIR | 0755;
  st.st_nlink = 2;
  return st;
}

using Members = std::vector<std::uint32_t>;  ///< layer numbers, topmost first

struct Directory {
  Members members;
  std::once_flag named;
  std::vector<const NameSet*> names;  ///< of the members; only read where the stack is deep
};

struct Found {
  struct stat st {};
  std::uint32_t layer = 0;
  Members members;  ///< if it is a directory
};

}  // namespace

struct TreeView::Impl {
  std::vector<std::shared_ptr<const LayerTree>> layers;
  std::shared_ptr<const LayerDir> plain;  ///< the only layer, where there is no overlay
  const char* opaque = opaque_xattr(false);
  bool has_side = false;  ///< of any layer
  std::shared_mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<Directory>> directories;

  void read_names(Directory& directory, const std::string& path) const;
  std::optional<Found> find(const std::string& path);
  void add(std::shared_ptr<const LayerTree> layer) {
    has_side |= layer->side() != nullptr;
    layers.push_back(std::move(layer));
  }
  std::shared_ptr<Directory> directory(const std::string& path);
  const LayerTree& layer_of(const std::string& path);
};

void TreeView::Impl::read_names(Directory& directory, const std::string& path) const {
  std::call_once(directory.named, [&] {
    for (const std::uint32_t layer : directory.members) directory.names.push_back(&layers[layer]->names(path));
  });
}

std::optional<Found> TreeView::Impl::find(const std::string& path) {
  if (layers.empty()) return path.empty() ? std::optional<Found>(Found{empty_root(), 0, {}}) : std::nullopt;
  if (plain) {
    const auto st = plain->lookup_checked(path);
    return st ? std::optional<Found>(Found{*st, 0, {}}) : std::nullopt;
  }
  if (path.empty()) return Found{layers[0]->lookup(path).value_or(empty_root()), 0, directory(path)->members};
  const std::string above = parent_path(path);
  const auto parent = directory(above);
  if (!parent) return std::nullopt;
  const bool deep = parent->members.size() >= kDeep;
  if (deep) read_names(*parent, above);
  const std::uint64_t hash = deep ? NameSet::hash(name_of(path)) : 0;
  std::optional<Found> found;
  for (std::size_t i = 0; i < parent->members.size(); ++i) {
    if (deep && !parent->names[i]->may_hold(hash)) continue;
    const std::uint32_t layer = parent->members[i];
    const auto st = layers[layer]->lookup(path);
    if (!st) continue;
    if (is_whiteout(*st)) break;
    if (!found) {
      found = Found{*st, layer, {}};
    } else if (!S_ISDIR(st->st_mode) || layers[found->members.back()]->is_opaque(path, opaque)) {
      break;
    }
    if (!S_ISDIR(st->st_mode)) break;
    found->members.push_back(layer);
  }
  return found;
}

/// nullptr if there is no directory of that name.
std::shared_ptr<Directory> TreeView::Impl::directory(const std::string& path) {
  {
    std::shared_lock lock(mutex);
    if (const auto known = directories.find(path); known != directories.end()) return known->second;
  }
  auto made = std::make_shared<Directory>();
  if (path.empty()) {
    for (std::uint32_t layer = 0; layer < layers.size(); ++layer) made->members.push_back(layer);
  } else {
    auto found = find(path);
    if (!found || !S_ISDIR(found->st.st_mode)) return nullptr;
    made->members = std::move(found->members);
  }
  std::unique_lock lock(mutex);
  if (directories.size() >= kMaxKeptDirectories) directories.clear();
  return directories.emplace(path, std::move(made)).first->second;
}

const LayerTree& TreeView::Impl::layer_of(const std::string& path) {
  if (plain) return *plain;
  const auto found = layers.empty() ? std::nullopt : find(path);
  if (!found) throw_missing(path);
  return *layers[found->layer];
}

TreeView::TreeView(std::vector<UniqueFd> layers, bool overlay, bool user_xattr) : impl_(std::make_unique<Impl>()) {
  CBUILD_CHECK(overlay || layers.size() == 1);
  for (UniqueFd& fd : layers) {
    auto side = overlay ? SideMetadata::read(fd.get()) : nullptr;
    auto layer = std::make_shared<const LayerDir>(std::move(fd), std::move(side));
    if (!overlay) impl_->plain = layer;
    impl_->add(std::move(layer));
  }
  impl_->opaque = opaque_xattr(user_xattr);
}
TreeView TreeView::of_directory(int dirfd, std::shared_ptr<const SideMetadata> side) {
  TreeView view({}, true);
  view.impl_->plain =
      std::make_shared<const LayerDir>(sys::open_at(dirfd, ".", O_RDONLY | O_DIRECTORY), std::move(side));
  view.impl_->add(view.impl_->plain);
  return view;
}
TreeView TreeView::of_shared(std::vector<std::shared_ptr<const LayerTree>> layers, bool user_xattr) {
  TreeView view({}, true, user_xattr);
  for (auto& layer : layers) view.impl_->add(std::move(layer));
  return view;
}
TreeView::~TreeView() = default;
TreeView::TreeView(TreeView&&) noexcept = default;
TreeView& TreeView::operator=(TreeView&&) noexcept = default;

std::optional<TreeView::Entry> TreeView::lookup(const std::string& path) const {
  const auto found = impl_->find(path);
  if (!found) return std::nullopt;
  return Entry{name_of(path), found->st, found->layer};
}

std::vector<TreeView::Entry> TreeView::list(const std::string& path) const {
  std::vector<Entry> out;
  if (impl_->layers.empty()) return out;
  Members members{0};
  if (!impl_->plain) {
    const auto directory = impl_->directory(path);
    if (!directory) throw_missing(path);
    members = directory->members;
  }
  std::unordered_set<std::string> seen;
  const auto is_new = [&](const std::string& name) { return members.size() == 1 || seen.insert(name).second; };
  for (const std::uint32_t layer : members) {
    auto children = impl_->layers[layer]->list(path, is_new);
    if (!children) throw_missing(path);
    for (LayerTree::Child& child : *children)
      if (impl_->plain || !is_whiteout(child.st)) out.push_back({std::move(child.name), child.st, layer});
  }
  if (members.size() > 1) {
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  }
  return out;
}

UniqueFd TreeView::open(const std::string& path, int flags) const {
  auto file = impl_->layer_of(path).open(path, flags | O_NOFOLLOW);
  if (!file) throw_missing(path);
  return std::move(*file);
}

void TreeView::bring(std::size_t layer, const std::vector<std::string>& files) const {
  impl_->layers[layer]->bring(files);
}

UniqueFd TreeView::open_directory(std::size_t layer, const std::string& path) const {
  auto directory = impl_->layers[layer]->open(path, O_RDONLY | O_DIRECTORY);
  if (!directory) throw_missing(path);
  return std::move(*directory);
}

std::string TreeView::read_link(const std::string& path) const { return impl_->layer_of(path).read_link(path); }

std::vector<sys::Xattr> TreeView::xattrs(const std::string& path) const {
  auto out = impl_->layer_of(path).xattrs(path);
  if (!impl_->plain) std::erase_if(out, [](const sys::Xattr& xattr) { return is_overlay_xattr(xattr.name); });
  return out;
}

const SideEntry* TreeView::side(const std::string& path) const {
  const SideMetadata* side = impl_->has_side ? impl_->layer_of(path).side() : nullptr;
  return side == nullptr ? nullptr : side->find(path);
}

bool TreeView::has_side() const { return impl_->has_side; }

std::optional<Digest> TreeView::content(const std::string& path) const { return impl_->layer_of(path).content(path); }

std::optional<std::string> TreeView::read_file(const std::string& path, std::size_t limit) const {
  const auto real = resolve(path);
  const auto entry = real ? lookup(*real) : std::nullopt;
  if (!entry || !S_ISREG(entry->st.st_mode)) return std::nullopt;
  return sys::read_all(open(*real, O_RDONLY | O_NONBLOCK).get(), limit);
}

}  // namespace cbuild::cache
