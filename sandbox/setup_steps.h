// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sandbox/setup_run.h"

namespace cbuild::sandbox::setup {

/// One overload per step; each gives 0 or a negative errno. Runs between clone and exec: async-signal-safe
/// only.
class OperationRunner {
 public:
  OperationRunner(Child& child, Report& report) : child_(child), report_(report) {}

  int operator()(const JoinCgroups& operation);
  int operator()(const NewSession& operation);
  int operator()(const OverlayTree& operation);
  int operator()(const CloneLayers& operation);
  int operator()(const CloneTree& operation);
  int operator()(const EnterMountNamespace& operation);
  int operator()(const OverlayInPlace& operation);
  int operator()(const AttachRoot& operation);
  int operator()(const SelectPath& operation);
  int operator()(const AttachTree& operation);
  int operator()(const MountFileSystem& operation);
  int operator()(const MountCgroups& operation);
  int operator()(const MakeDirectory& operation);
  int operator()(const MakeFile& operation);
  int operator()(const MakeLink& operation);
  int operator()(const MakeNode& operation);
  int operator()(const ContentStore& operation);
  int operator()(const AttachContent& operation);
  int operator()(const Mask& operation);
  int operator()(const ReadOnly& operation);
  int operator()(const WriteLabel& operation);
  int operator()(const PivotRoot& operation);
  int operator()(const ChangeRoot& operation);
  int operator()(const PrivateMounts& operation);
  int operator()(const AttachByName& operation);
  int operator()(const AttachContentByName& operation);
  int operator()(const LoopbackUp& operation);
  int operator()(const EnterNetwork& operation);
  int operator()(const SetHostname& operation);
  int operator()(const ProcessDefaults& operation);
  int operator()(const LimitResource& operation);
  int operator()(const CloseDescriptors& operation);
  int operator()(const EnterDirectory& operation);
  int operator()(const NewKeyring& operation);
  int operator()(const BoundCapabilities& operation);
  int operator()(const NoNewPrivileges& operation);
  int operator()(const FilterSystemCalls& operation);
  int operator()(const SetIds& operation);
  int operator()(const SetCapabilities& operation);
  int operator()(const Execute& operation);

 private:
  /// Attaches a tree to a target of the root, making missing directories inside earlier mounts; closes nothing.
  int attach_at(int tree, const std::string& target);
  int content_tree(const ContentSource& file, Attributes attributes);
  int attach_by_name(int tree, const char* path);
  int attach_cgroups(const MountCgroups& operation, const int* trees);
  int make_target(const std::string& target, bool directory);
  int attach_on_scratch(int tree);
  /// Opens the directory that holds `path`; `name` becomes the last part.
  int open_parent(const std::string& path, const char*& name);
  int fail_with_message(int fs, int error);

  Child& child_;
  Report& report_;
  int root_ = -1, content_ = -1;
  unsigned content_count_ = 0;
};

}  // namespace cbuild::sandbox::setup
