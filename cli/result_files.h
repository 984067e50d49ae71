// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "cli/flags/options.h"
#include "engine/result.h"
#include "engine/session.h"

namespace cbuild::cli {

/// A function that writes --iidfile and --metadata-file of `line`, to be called when a build has its images; empty if
/// neither was given. It holds no reference to `line`.
std::function<void(const engine::BuildResult&)> result_writer(const BuildLine& line);

/// The files of --iidfile, where they are plain files, without the content of an earlier build: a build that fails
/// leaves none. To be called before the build and after one that failed.
void empty_id_files(const BuildLine& line);
void remove_empty_id_files(const BuildLine& line);

/// Writes the page of --report, about a build of the history, whether it has failed or not; tells of what prevents it
/// and returns false then.
bool write_report(const BuildLine& line, const engine::Session& session, const std::string& build);

}  // namespace cbuild::cli
