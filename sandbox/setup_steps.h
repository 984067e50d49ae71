// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sandbox/setup_run.h"

namespace cbuild::sandbox::setup {

/// One overload per step; each gives 0 or a negative errno. Runs between clone and exec: async-signal-safe
/// only.
class StepRunner {
 public:
  StepRunner(Child& child, Report& report) : child_(child), report_(report) {}

  int operator()(const JoinCgroups& step);
  int operator()(const NewSession& step);
  int operator()(const OverlayTree& step);
  int operator()(const CloneLayers& step);
  int operator()(const CloneTree& step);
  int operator()(const EnterMountNamespace& step);
  int operator()(const OverlayInPlace& step);
  int operator()(const AttachRoot& step);
  int operator()(const SelectPath& step);
  int operator()(const AttachTree& step);
  int operator()(const MountFileSystem& step);
  int operator()(const MakeDirectory& step);
  int operator()(const MakeFile& step);
  int operator()(const MakeLink& step);
  int operator()(const MakeNode& step);
  int operator()(const ContentStore& step);
  int operator()(const AttachContent& step);
  int operator()(const Mask& step);
  int operator()(const ReadOnly& step);
  int operator()(const PivotRoot& step);
  int operator()(const ChangeRoot& step);
  int operator()(const LoopbackUp& step);
  int operator()(const SetHostname& step);
  int operator()(const ProcessDefaults& step);
  int operator()(const LimitResource& step);
  int operator()(const CloseDescriptors& step);
  int operator()(const EnterDirectory& step);
  int operator()(const NewKeyring& step);
  int operator()(const BoundCapabilities& step);
  int operator()(const FilterSystemCalls& step);
  int operator()(const SetIds& step);
  int operator()(const SetCapabilities& step);
  int operator()(const Execute& step);

 private:
  /// Attaches a tree to a target of the root, making missing directories inside earlier mounts; closes nothing.
  int attach_at(int tree, const std::string& target);
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
