// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "base/output_file.h"
#include "exporter/archive.h"
#include "exporter/files_tar.h"
#include "exporter/output_type.h"

namespace cbuild::exporter {

/// Brings the layers of the images into the store that it lacks, but for those of `left_out`.
void need_blobs(const OutputJob& job, const std::set<Digest>& left_out = {});
/// The files that the output gets, brought into the store; in the order of the directories that they go into. Throws
/// Error{input} if those of two platforms would go to one path.
std::vector<FileTree> file_trees(const OutputJob& job);

/// Output::dest as a file; "-" is stdout.
OutputFile open_destination(const OutputJob& job);
oci::layer::ByteSink sink_of(OutputFile& file);

/// Reports how much of an archive is written; null without progress. Lives as long as `job.context`.
std::function<void(std::uint64_t)> archive_counter(const OutputJob& job);

/// complete and write of the types whose image is an archive, or with tar=false a layout directory.
void complete_archive(Output& output);
void export_archive(const OutputJob& job, bool docker);

}  // namespace cbuild::exporter
