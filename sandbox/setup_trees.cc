// SPDX-License-Identifier: Apache-2.0
// The trees that a step's root is put together from: the overlay of its layers, its bind mounts, and what of the
// machine it sees. They are made before the mount namespace is entered; where the kernel wants an overlay to be mounted
// by name, that comes after, in place.
#include "sandbox/setup_parts.h"

namespace cbuild::sandbox::setup {
namespace {

/// A directory name inside mount(2)'s option string.
std::string option_value(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == ',' || c == ':' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

class TreeBuilder {
 public:
  explicit TreeBuilder(const Conditions& conditions) : conditions_(conditions) {}

  Trees build() &&;

 private:
  Slot overlay(const std::vector<int>& lowers, int upper, int work, Attributes attributes, bool throw_away);
  Slot bind(int fd, std::string host_path, Attributes attributes, bool optional = false);
  Slot mount_tree(const Mount& mount);

  const Conditions& conditions_;
  Trees trees_;
};

Slot TreeBuilder::bind(int fd, std::string host_path, Attributes attributes, bool optional) {
  trees_.operations.push_back(CloneTree{trees_.slots, fd, std::move(host_path), attributes, optional});
  return trees_.slots++;
}

Slot TreeBuilder::overlay(const std::vector<int>& lowers, int upper, int work, Attributes attributes, bool throw_away) {
  const bool is_root = upper >= 0;
  const Slot slot = is_root ? kRootSlot : trees_.slots++;
  if (conditions_.traits.layers_by_fsconfig && !throw_away) {
    trees_.operations.push_back(OverlayTree{slot, lowers, upper, work, attributes, conditions_.in_user_namespace(),
                                            conditions_.mount_context()});
    return slot;
  }
  trees_.operations.push_back(CloneLayers{trees_.slots, lowers, is_root ? conditions_.traits.layer_base : -1});
  OverlayInPlace operation{slot,
                           trees_.slots,
                           lowers.size(),
                           {},
                           {},
                           is_root,
                           !is_root && !throw_away,
                           attributes,
                           conditions_.in_user_namespace()};
  if (is_root) {
    operation.upper = option_value(conditions_.traits.upper_name);
    operation.work = option_value(conditions_.traits.work_name);
  }
  trees_.slots += lowers.size() + (is_root ? 1 : 0);
  trees_.in_place.emplace_back(std::move(operation));
  return slot;
}

Slot TreeBuilder::mount_tree(const Mount& mount) {
  if (const auto* source = std::get_if<BindSource>(&mount.source))
    return bind(source->fd, {}, conditions_.attributes_of(mount));
  const auto* source = std::get_if<OverlaySource>(&mount.source);
  if (source == nullptr) return 0;
  const Attributes attributes = conditions_.attributes_of(mount) | (source->writable ? 0 : kReadOnly);
  if (source->lower_fds.size() == 1 && !source->writable) return bind(source->lower_fds[0], {}, attributes);
  return overlay(source->lower_fds, -1, -1, attributes, source->writable);
}

Trees TreeBuilder::build() && {
  std::vector<int> lowers = conditions_.spec.lower_fds;
  if (conditions_.spec.skeleton_fd >= 0) lowers.insert(lowers.begin(), conditions_.spec.skeleton_fd);
  if (lowers.empty())
    trees_.operations.push_back(CloneTree{kRootSlot, conditions_.spec.upper_fd, {}, conditions_.device_attributes()});
  else
    overlay(lowers, conditions_.spec.upper_fd, conditions_.spec.work_fd, conditions_.device_attributes(), false);
  for (const Mount& mount : conditions_.spec.mounts) trees_.mounts.push_back(mount_tree(mount));

  if (!conditions_.spec.bundle.empty()) return std::move(trees_);  // the rest of the root is the runtime's
  if (conditions_.mode == Mode::masked_proc) trees_.proc = bind(-1, "/proc", kNoSuidDevExec);
  const bool owns_network = conditions_.mode == Mode::root ||
                            (conditions_.mode == Mode::user_namespace &&
                             (conditions_.spec.network == NetworkMode::none || conditions_.spec.network_fd >= 0));
  if (!owns_network) trees_.sys = bind(-1, "/sys", kNoSuidDevExec | (conditions_.spec.insecure ? 0 : kReadOnly), true);
  if (conditions_.makes_nodes()) return std::move(trees_);
  // Read-only keeps a step from changing mode and owner of the machine's nodes; devices stay writable through
  // it.
  constexpr Attributes attributes = kNoSuid | kNoExec | kReadOnly;
  for (const DeviceNode& node : standard_nodes()) trees_.nodes.emplace_back(node, bind(-1, node.path, attributes));
  for (const DeviceNode& node : conditions_.spec.devices)
    trees_.nodes.emplace_back(node, bind(-1, node.host_path.empty() ? node.path : node.host_path, attributes));
  return std::move(trees_);
}

}  // namespace

Attributes Conditions::attributes_of(const Mount& mount) const {
  return (mount.read_only ? kReadOnly : 0) | (mount.no_suid ? kNoSuid : 0) | (mount.no_dev ? kNoDev : 0) |
         (mount.no_exec ? kNoExec : 0) | device_attributes();
}

Trees build_trees(const Conditions& conditions) { return TreeBuilder(conditions).build(); }

}  // namespace cbuild::sandbox::setup
