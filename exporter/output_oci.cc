// SPDX-License-Identifier: Apache-2.0
// type=oci, a row of output_type.h: an image layout as one tar, or with tar=false as a directory.
#include "exporter/output_content.h"
#include "exporter/output_keys.h"
#include "exporter/output_type.h"

namespace cbuild::exporter {
namespace {

constexpr OutputKey kArchiveKeys[] = {{"tar", set_output_truth<&Output::as_tar>}};

}  // namespace

const OutputTraits kOciOutput = {
    .type = OutputType::oci,
    .name = "oci",
    .content = OutputContent::image,
    .place = [](const Output& output) { return output.as_tar ? OutputPlace::file : OutputPlace::directory; },
    .keys = kArchiveKeys,
    .complete =
        [](Output& output) {
          if (output.dest.empty()) output.dest = "-";
          complete_archive(output);
        },
    .write = [](const OutputJob& job) { export_archive(job, false); },
};

}  // namespace cbuild::exporter
