// SPDX-License-Identifier: Apache-2.0
// type=tar, a row of output_type.h: the files of the result as one tar.
#include "exporter/output_content.h"
#include "exporter/output_type.h"

namespace cbuild::exporter {
namespace {

void export_tar(const OutputJob& job) {
  const std::vector<FileTree> trees = file_trees(job);
  OutputFile destination = open_destination(job);
  write_files_tar(trees, job.context.cancel, sink_of(destination));
  destination.publish();
}

}  // namespace

const OutputTraits kTarOutput = {
    .type = OutputType::tar,
    .name = "tar",
    .content = OutputContent::files,
    .place = [](const Output&) { return OutputPlace::file; },
    .complete =
        [](Output& output) {
          if (output.dest.empty()) output.dest = "-";
        },
    .write = export_tar,
};

}  // namespace cbuild::exporter
