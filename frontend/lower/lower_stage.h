// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/pattern/path_pattern.h"
#include "frontend/lower/lower_sources.h"
#include "frontend/lower/outline.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/scope.h"
#include "frontend/stages/stages.h"
#include "frontend/syntax/check.h"
#include "oci/image_config.h"
#include "solver/graph/graph.h"

/// The state of lowering, in three sizes: BuildState for the whole build, StageState for the result of a stage so far
/// (another stage may start from it), StageLowering while the instructions of one stage are executed. Instructions
/// change the state through StageLowering only (lower_instructions.h).
namespace cbuild::frontend {

/// A stage after its last instruction so far; FROM of it starts here.
struct StageState {
  bool done = false;  ///< all its instructions are lowered: others may take from it
  solver::VertexId root = solver::kNoInput;
  oci::ImageConfig image;
  oci::Platform platform;
  StageScope scope;
  std::vector<solver::VertexId> layer_vertices;
  EnvPlaces env_places;  ///< of the image's Env
  std::size_t base_history = 0;
  std::string base_name;
  Digest base_digest;
  bool workdir_set = false;  ///< by a WORKDIR of this file
  bool broken = false;       ///< an ENV or ARG was wrong: nothing can be said about what follows
};

/// An instruction of which a stage should have one only.
struct EarlierInstruction {
  const Instruction* instruction = nullptr;
  Span span;  ///< where to point: for a trigger not the instruction itself
};

/// A stage that the target reaches, with the triggers of its base.
struct PlannedStage {
  bool reached = false;
  std::optional<ResolvedBase> base;   ///< unless it starts from a stage or from scratch
  std::vector<Instruction> triggers;  ///< ONBUILD of the base, run before the stage's own instructions
  std::size_t dependents = 0;         ///< who still needs its config: reached stages made of it, and the target itself
};

/// Whether a scan for an SBOM looks at a stage, and at the build context where the stage is the target.
struct StageScan {
  bool stage = false, context = false;
};

/// Shared by all stages of one lowering.
struct BuildState {
  const Dockerfile& dockerfile;
  const LowerOptions& options;
  const GlobalScope& globals;
  const StageTable& table;
  Sources& sources;
  solver::Graph& graph;
  Checks& checks;
  std::vector<PlannedStage> plan;                          // by stage index
  std::vector<StageState> states;                          // by stage index
  std::vector<StageUse> uses;                              // by stage index
  std::vector<Diagnostic> errors;                          ///< found so far, each in an instruction of its own
  std::map<std::string, PathPatternList> context_ignores;  ///< compiled for checks, by stage name
  std::vector<StageScan> scans;                            // by stage index
};

/// A stage while its instructions are executed one by one.
class StageLowering {
 public:
  StageLowering(BuildState& build, const StageInfo& info, StageState start);

  BuildState& build;
  const StageInfo& info;
  StageState state;
  bool command_set = false;                  ///< CMD was executed in this stage
  const Instruction* instruction = nullptr;  ///< the one being executed
  EarlierInstruction cmd, entrypoint, healthcheck;

  /// Where to point for the current instruction: itself, or the FROM for a trigger.
  const Span& span() const;
  /// A word in the current environment. Throws DiagnosticError.
  std::string expand(const Text& word) const;
  /// The body of a heredoc in the current environment.
  std::string expand_heredoc(const Heredoc& heredoc) const;
  /// --no-cache, or a filter that names the stage or a line of the current instruction ("build:12"; ":12" in any
  /// stage).
  bool ignores_cache() const;
  /// Sets a variable of the environment and the config.
  void set_variable(const std::string& name, const std::string& value);

  /// "[build 2/7] " and `text`; counts one step further.
  std::string next_step(const std::string& text);
  /// The same number once more, for the second vertex of one step.
  std::string same_step(const std::string& text) const;
  /// The instruction as it reads after expansion.
  std::string instruction_text() const;

  /// A vertex of this stage for the current instruction, not yet in the graph; its input 0 is the root so
  /// far.
  solver::Vertex make_vertex(solver::Op op, std::string step_name) const;
  /// Adds the vertex and makes it the root and the next layer.
  void set_root(solver::Vertex vertex);
  /// Appends a history entry of the current instruction.
  void add_history(std::string created_by, bool owns_layer);

  /// Executes one instruction. Throws DiagnosticError or Error.
  void execute(const Instruction& next, bool is_trigger);

 private:
  std::string step_prefix() const;
  std::string platform_prefix() const;

  bool in_trigger_ = false;
  std::size_t steps_total_ = 0, steps_done_ = 0;
};

/// Root file system of a finished stage. Throws Error.
solver::VertexId stage_root(BuildState& build, std::size_t index);

/// "ONBUILD COPY . /src: ", in front of a message about a trigger.
std::string trigger_prefix(const Instruction& trigger);

/// Begins a stage: its base becomes the root, the base's config the state. `build.plan` and the states of
/// earlier stages are there.
StageLowering begin_stage(BuildState& build, const StageInfo& info);

}  // namespace cbuild::frontend
