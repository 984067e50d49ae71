// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "frontend/lower/outline.h"

/// Outlines and targets as text and as BuildKit's JSON. `sources`: the Dockerfile, then the files it includes.
namespace cbuild::frontend {

std::string outline_text(const Outline& outline);
std::string outline_json(const Outline& outline, const std::vector<std::shared_ptr<const SourceText>>& sources);

std::string targets_text(const std::vector<TargetInfo>& targets);
std::string targets_json(const std::vector<TargetInfo>& targets,
                         const std::vector<std::shared_ptr<const SourceText>>& sources);

/// The questions that --call answers.
std::string requests_text();
std::string requests_json();

}  // namespace cbuild::frontend
