// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "frontend/syntax/ast.h"

/// The parameters of a build of a Dockerfile: --call=outline and --call=targets.
namespace cbuild::frontend {

struct OutlineArg {
  std::string name, value, description;
  Span span;  ///< of the ARG instruction
};

/// A secret, an SSH agent or a cache directory that a RUN mounts.
struct OutlineMount {
  std::string id;
  bool required = false;
  Span span;  ///< of the RUN instruction
};

/// All that one target takes from outside, each list in the order of the file.
struct Outline {
  std::string name, description;  ///< of the target
  std::vector<OutlineArg> args;
  std::vector<OutlineMount> secrets, ssh, caches;
};

/// Notes of lowering about one stage, if an outline is asked for.
struct StageUse {
  std::map<std::string, OutlineArg> args;  ///< defined here, not taken over from above the first FROM
  std::set<std::string> used;              ///< by FROM and by ARG
  std::vector<OutlineMount> secrets, ssh, caches;
};

struct TargetInfo {
  std::string name, description;
  std::string base, platform;  ///< as written
  bool is_default = false;
  Span span;
};

/// The stages of a file; nothing is expanded or resolved.
std::vector<TargetInfo> list_targets(const Dockerfile& dockerfile);

struct BuildState;
struct StageInfo;
class StageLowering;
struct MountSpec;

/// Notes the variables that FROM uses.
void note_from(BuildState& build, const StageInfo& info);
/// Notes an item of an ARG that was just executed.
void note_arg(StageLowering& stage, const ArgInstruction::Item& item);
/// Notes a mount of a RUN.
void note_mount(StageLowering& stage, const MountSpec& spec);

/// The outline of `target`, from the notes made while it was lowered.
Outline make_outline(const BuildState& build, std::size_t target);

}  // namespace cbuild::frontend
