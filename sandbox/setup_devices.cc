// SPDX-License-Identifier: Apache-2.0
// /dev of a step: a tmpfs with the standard nodes, made or bound, and the file systems that belong there.
#include <algorithm>

#include "base/text.h"
#include "sandbox/setup_parts.h"

namespace cbuild::sandbox::setup {
namespace {

const DeviceNode kInsecureNodes[] = {
    {"/dev/kmsg", 'c', 1, 11},  {"/dev/cuse", 'c', 10, 203},    {"/dev/fuse", 'c', 10, 229},
    {"/dev/kvm", 'c', 10, 232}, {"/dev/net/tun", 'c', 10, 200}, {"/dev/loop-control", 'c', 10, 237},
};

void make_parents(std::vector<Operation>& operations, const DeviceNode& node) {
  for (auto slash = node.path.find('/', 5); slash != std::string::npos; slash = node.path.find('/', slash + 1))
    operations.push_back(MakeDirectory{node.path.substr(0, slash), 0755});
}

void make_node(std::vector<Operation>& operations, const DeviceNode& node) {
  make_parents(operations, node);
  operations.push_back(MakeNode{node});
}

void mount_file_systems(std::vector<Operation>& operations, const Conditions& conditions) {
  const Attributes attributes = kNoSuid | MOUNT_ATTR_STRICTATIME | conditions.device_attributes();
  operations.push_back(MountFileSystem{"tmpfs", "/dev", attributes, {{"mode", "755"}, {"size", "65536k"}}});
  for (const char* directory : {"/dev/pts", "/dev/shm", "/dev/mqueue"})
    operations.push_back(MakeDirectory{directory, 0755});
  // A mount of the step stands for ours at the same place, which would only lie hidden below it.
  const auto mount_unless_replaced = [&](MountFileSystem mount) {
    const auto takes_its_place = [&](const Mount& other) { return clean_path(other.target) == mount.target; };
    if (std::none_of(conditions.spec.mounts.begin(), conditions.spec.mounts.end(), takes_its_place))
      operations.push_back(std::move(mount));
  };
  std::vector<std::pair<std::string, std::string>> pts = {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  if (conditions.traits.tty_group_mapped) pts.emplace_back("gid", "5");
  mount_unless_replaced({"devpts", "/dev/pts", kNoSuid | kNoExec, std::move(pts)});
  mount_unless_replaced(
      {"tmpfs", "/dev/shm", kNoSuidDevExec, {{"mode", "1777"}, {"size", std::to_string(conditions.spec.shm_size)}}});
  mount_unless_replaced({"mqueue", "/dev/mqueue", kNoSuidDevExec, {}, true});
}

void make_nodes(std::vector<Operation>& operations, const Conditions& conditions) {
  for (const DeviceNode& node : standard_nodes()) operations.push_back(MakeNode{node});
  for (const DeviceNode& node : conditions.spec.devices) make_node(operations, node);
  if (!conditions.spec.insecure) return;
  for (const DeviceNode& node : kInsecureNodes) make_node(operations, node);
  for (int i = 0; i < conditions.traits.loop_devices; ++i)
    operations.push_back(MakeNode{{cat("/dev/loop", i), 'b', 7, static_cast<std::uint32_t>(i), 0660}});
}

}  // namespace

const std::vector<DeviceNode>& standard_nodes() {
  static const std::vector<DeviceNode> nodes = {
      {"/dev/null", 'c', 1, 3},   {"/dev/zero", 'c', 1, 5},    {"/dev/full", 'c', 1, 7},
      {"/dev/random", 'c', 1, 8}, {"/dev/urandom", 'c', 1, 9}, {"/dev/tty", 'c', 5, 0},
  };
  return nodes;
}

std::vector<Operation> fill_devices(const Conditions& conditions,
                                    const std::vector<std::pair<DeviceNode, Slot>>& nodes) {
  std::vector<Operation> operations;
  mount_file_systems(operations, conditions);
  for (const auto& [path, to] : {std::pair{"/dev/fd", "/proc/self/fd"},
                                 {"/dev/stdin", "/proc/self/fd/0"},
                                 {"/dev/stdout", "/proc/self/fd/1"},
                                 {"/dev/stderr", "/proc/self/fd/2"},
                                 {"/dev/ptmx", "pts/ptmx"}})
    operations.push_back(MakeLink{path, to});
  for (const auto& [node, slot] : nodes) {
    make_parents(operations, node);
    operations.push_back(MakeFile{node.path});
    operations.push_back(AttachTree{slot, node.path});
  }
  if (conditions.makes_nodes()) make_nodes(operations, conditions);
  return operations;
}

}  // namespace cbuild::sandbox::setup
