// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>

#include "base/text.h"
#include "sandbox/setup.h"

namespace cbuild::sandbox::setup {
namespace {

std::string attribute_text(Attributes attributes) {
  struct Name {
    Attributes bit;
    const char* text;
  };
  std::vector<std::string> parts;
  for (const Name& name :
       {Name{MOUNT_ATTR_RDONLY, "ro"}, Name{MOUNT_ATTR_NOSUID, "nosuid"}, Name{MOUNT_ATTR_NODEV, "nodev"},
        Name{MOUNT_ATTR_NOEXEC, "noexec"}, Name{MOUNT_ATTR_STRICTATIME, "strictatime"}})
    if ((attributes & name.bit) != 0) parts.emplace_back(name.text);
  return parts.empty() ? "" : cat(" [", join(parts, ","), "]");
}

std::string octal(mode_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) text += static_cast<char>('0' + ((mode >> shift) & 7));
  return text;
}

std::string hexadecimal(std::uint64_t value) {
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[(value >> shift) & 15];
  return text;
}

std::string where(Slot slot) { return slot == kRootSlot ? "root" : cat("tree ", slot); }

struct Describe {
  std::string operator()(const JoinCgroups& s) const { return cat("join ", s.procs_fds.size(), " cgroups"); }
  std::string operator()(const NewSession& s) const {
    return s.terminal_fd >= 0 ? "new session with a terminal" : "new session";
  }
  std::string operator()(const OverlayTree& s) const {
    return cat(where(s.slot), ": mount overlay of ", s.lowers.size(), " layers", s.upper >= 0 ? " with upper" : "",
               s.user_xattr ? " userxattr" : "", s.context.empty() ? "" : " context=", s.context,
               attribute_text(s.attributes));
  }
  std::string operator()(const CloneLayers& s) const {
    return cat("trees ", s.first_slot, "-", s.first_slot + s.lowers.size() - (s.base >= 0 ? 0 : 1), ": clone ",
               s.lowers.size(), " layers", s.base >= 0 ? " and the upper" : "");
  }
  std::string operator()(const CloneTree& s) const {
    return cat(where(s.slot), ": clone ", s.fd >= 0 ? "given source" : s.host_path, attribute_text(s.attributes));
  }
  std::string operator()(const EnterMountNamespace& s) const {
    return cat("enter mount namespace", s.own_cgroup ? " and cgroup namespace" : "");
  }
  std::string operator()(const OverlayInPlace& s) const {
    return cat(where(s.slot), ": mount overlay of trees ", s.first_slot, "-", s.first_slot + s.lowers - 1,
               s.has_base    ? " with upper"
               : s.read_only ? ""
                             : " with throw-away upper",
               s.user_xattr ? " userxattr" : "", attribute_text(s.attributes));
  }
  std::string operator()(const AttachRoot&) const { return "attach root"; }
  std::string operator()(const SelectPath& s) const { return cat(where(s.slot), ": select ", s.path); }
  std::string operator()(const AttachTree& s) const { return cat("attach ", where(s.slot), " on ", s.target); }
  std::string operator()(const MountFileSystem& s) const {
    std::vector<std::string> options;
    for (const auto& [key, value] : s.options) options.push_back(value.empty() ? key : cat(key, "=", value));
    return cat("mount ", s.type, " on ", s.target, attribute_text(s.attributes), options.empty() ? "" : " ",
               join(options, ","));
  }
  std::string operator()(const MountCgroups& s) const {
    std::vector<std::string> names;
    for (const CgroupMount& hierarchy : s.hierarchies)
      names.push_back(hierarchy.name.empty() ? "version 2" : hierarchy.name);
    return cat("mount cgroups ", join(names, " "), attribute_text(s.attributes));
  }
  std::string operator()(const MakeDirectory& s) const { return cat("make directory ", s.path, " ", octal(s.mode)); }
  std::string operator()(const MakeFile& s) const { return cat("make file ", s.path); }
  std::string operator()(const MakeLink& s) const { return cat("make link ", s.path, " -> ", s.to); }
  std::string operator()(const MakeNode& s) const {
    return cat("make node ", s.node.path, " ", s.node.type, " ", s.node.major, ":", s.node.minor, " ",
               octal(s.node.mode));
  }
  std::string operator()(const ContentStore&) const { return "mount tmpfs for files given by value"; }
  std::string operator()(const AttachContent& s) const {
    return cat("attach file of ", s.file.content.size(), " bytes on ", s.target, " ", octal(s.file.mode), " ",
               s.file.uid, ":", s.file.gid, attribute_text(s.attributes));
  }
  std::string operator()(const Mask& s) const { return cat("mask ", s.path); }
  std::string operator()(const ReadOnly& s) const { return cat("make read-only ", s.path); }
  std::string operator()(const WriteLabel& s) const { return cat("write ", s.write.text, " to ", s.write.path); }
  std::string operator()(const PivotRoot&) const { return "pivot root"; }
  std::string operator()(const ChangeRoot&) const { return "chroot"; }
  std::string operator()(const PrivateMounts&) const { return "private copy of the machine's mounts"; }
  std::string operator()(const AttachByName& s) const { return cat("attach ", where(s.slot), " at ", s.path); }
  std::string operator()(const AttachContentByName& s) const {
    return cat("attach file of ", s.file.content.size(), " bytes at ", s.path);
  }
  std::string operator()(const LoopbackUp&) const { return "bring loopback up"; }
  std::string operator()(const EnterNetwork&) const { return "enter the network namespace"; }
  std::string operator()(const SetHostname& s) const { return cat("set hostname ", s.name); }
  std::string operator()(const LimitResource& s) const {
    return cat("set resource limit ", s.resource, " to ", s.soft, ":", s.hard);
  }
  std::string operator()(const ProcessDefaults&) const { return "set umask and resource limits"; }
  std::string operator()(const CloseDescriptors&) const { return "close descriptors"; }
  std::string operator()(const EnterDirectory& s) const {
    return cat("enter directory ", s.path, " as ", s.uid, ":", s.gid);
  }
  std::string operator()(const NewKeyring&) const { return "join new session keyring"; }
  std::string operator()(const BoundCapabilities& s) const {
    return cat("bound capabilities to ", hexadecimal(s.keep));
  }
  std::string operator()(const NoNewPrivileges&) const { return "no new privileges"; }
  std::string operator()(const FilterSystemCalls& s) const {
    return cat("filter system calls", s.required ? "" : " if possible");
  }
  std::string operator()(const SetIds& s) const {
    std::vector<std::string> groups;
    for (const gid_t gid : s.groups) groups.push_back(std::to_string(gid));
    return cat("set ids ", s.uid, ":", s.gid, " groups ", s.may_set_groups ? join(groups, ",") : "unchanged");
  }
  std::string operator()(const SetCapabilities& s) const {
    return cat("set capabilities ", hexadecimal(s.keep), s.inherit ? " in all sets" : "");
  }
  std::string operator()(const Execute& s) const { return cat("exec ", shell_quote(s.argv[0])); }
};

}  // namespace

std::string describe(const Operation& operation) { return std::visit(Describe{}, operation); }

}  // namespace cbuild::sandbox::setup
