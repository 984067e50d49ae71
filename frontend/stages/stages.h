// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/stages/lower_contexts.h"
#include "frontend/stages/lower_options.h"
#include "frontend/stages/scope.h"

namespace cbuild::frontend {

/// Where COPY --from or the from= of a mount points: a stage of the file, else an image or a named context.
struct Origin {
  std::optional<std::size_t> stage;
  std::string reference;  ///< as written, when it is not a stage

  bool operator==(const Origin&) const = default;
};

/// A FROM with all that can be told about it before any image is looked at.
struct StageInfo {
  const Stage* syntax = nullptr;
  std::size_t index = 0;
  std::string display_name;                 ///< "build", "stage-2"; empty for the only stage of a file
  std::string base;                         ///< expanded; "scratch", a reference, or the name of `base_stage`
  std::optional<std::size_t> base_stage;    ///< an earlier stage
  std::optional<oci::Platform> platform;    ///< of --platform
  std::optional<NamedContext> replaced_by;  ///< a named context of the stage's name: its instructions do not count
  bool ignore_cache = false;

  bool from_scratch() const { return base == "scratch" && !base_stage; }
};

/// The stages of a file and the rules by which they are named. Lives as long as the Dockerfile it was made
/// of.
class StageTable {
 public:
  /// Expands every FROM in the global scope and links it to the earlier stage it names, exactly and in lower
  /// case; the later one of two with the same name wins. Throws DiagnosticError.
  StageTable(const Dockerfile& dockerfile, const LowerOptions& options, const NamedContexts& contexts,
             const Variables& globals, Checks& checks);

  const std::vector<StageInfo>& stages() const { return stages_; }
  /// The stage of that name, in any case and wherever it stands.
  std::optional<std::size_t> find(std::string_view name) const;
  /// The stage to build: the named one, or the last. Throws DiagnosticError with the nearest name.
  std::size_t target(const std::string& name) const;

  /// The origins of an instruction's files, in order: --from of a COPY, each from= of RUN's mounts. Throws
  /// DiagnosticError.
  std::vector<Origin> origins(const Instruction& instruction) const;
  /// --from of a COPY: a stage by name or number, else an image or context. nullopt: the build context.
  std::optional<Origin> copy_origin(const CopyInstruction& copy) const;
  /// from= of a mount; numbers are not stages here.
  Origin mount_origin(const std::string& from) const;

  /// Names for "did you mean".
  std::vector<std::string> names() const;

 private:
  StageInfo make_stage(const Stage& stage, std::size_t index, const LowerOptions& options,
                       const NamedContexts& contexts, const Variables& globals) const;
  void check_cycles() const;
  bool uses_outside_stages() const;

  char escape_;
  std::vector<StageInfo> stages_;
  std::map<std::string, std::size_t> by_name_;
};

/// The value of from= in the CSV of a --mount, before anything else of it can be read; empty if there is
/// none. Throws Error{input} for a variable in it.
std::string mount_from(std::string_view csv);

}  // namespace cbuild::frontend
