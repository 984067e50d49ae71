// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "frontend/syntax/ast.h"
#include "frontend/syntax/check.h"

namespace cbuild::frontend {

/// Text of a file of the build context by its path from the context's root; nullopt if there is none. Throws Error.
using ContextFileReader = std::function<std::optional<std::string>(const std::string& path)>;

struct ParseOptions {
  ContextFileReader include;  ///< reads the files of INCLUDE; empty: there is no context to read from
  Checks* checks = nullptr;   ///< borrowed: takes the options of "# check=" and gets findings, also when parsing fails
};

/// Parses a whole Dockerfile, in time linear in its size. Throws DiagnosticError with every independent error found (at
/// most 20). A trigger that parses but cannot work is a warning without rule.
Dockerfile parse_dockerfile(std::shared_ptr<const SourceText> source, const ParseOptions& options = {});

/// Parses one ONBUILD trigger of a base image as an instruction. `origin` names the base for diagnostics; spans point
/// into the trigger. Throws DiagnosticError, also for a trigger that is not exactly one instruction or is a FROM.
Instruction parse_trigger(const std::string& trigger, const std::string& origin);

/// Indented text form of the tree, for golden files and --debug.
std::string dump(const Dockerfile& dockerfile);

/// The file as text again, in a normal form: directives, comments, each instruction on one line, heredocs. Parses to an
/// equal tree.
std::string print(const Dockerfile& dockerfile);

/// Names of all instructions, upper case, sorted.
const std::vector<std::string>& instruction_names();

}  // namespace cbuild::frontend
