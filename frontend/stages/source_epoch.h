// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "frontend/stages/lower_options.h"
#include "frontend/stages/scope.h"

namespace cbuild::frontend {

/// The time that a SOURCE_DATE_EPOCH means that is not a number: "context" (the main context), else a named context,
/// else a stage that is FROM scratch and one ADD of a remote source. nullopt: that source has no time of its own (a
/// local directory, an image). `globals`: the arguments above the first FROM. Throws Error{input} for a value that is
/// none of these, DiagnosticError for a stage of another form, and errors of the pinner.
std::optional<std::int64_t> source_epoch(const std::string& value, const Variables& globals,
                                         const Dockerfile& dockerfile, const LowerOptions& options);

}  // namespace cbuild::frontend
