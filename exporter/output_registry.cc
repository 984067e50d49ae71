// SPDX-License-Identifier: Apache-2.0
// type=registry, a row of output_type.h: it becomes type=image with push=true.
#include "exporter/output_type.h"

namespace cbuild::exporter {

const OutputTraits kRegistryOutput = {
    .type = OutputType::registry,
    .name = "registry",
    .content = OutputContent::image,
    .can_push = true,
    .place = [](const Output& output) { return kImageOutput.place(output); },
    .complete =
        [](Output& output) {
          output.type = OutputType::image;
          output.push = true;
        },
    .write = [](const OutputJob& job) { kImageOutput.write(job); },
};

}  // namespace cbuild::exporter
