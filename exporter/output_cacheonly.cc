// SPDX-License-Identifier: Apache-2.0
// type=cacheonly, a row of output_type.h: the build itself is all that is wanted.
#include "exporter/output_type.h"

namespace cbuild::exporter {

const OutputTraits kCacheOnlyOutput = {
    .type = OutputType::cacheonly,
    .name = "cacheonly",
    .place = [](const Output&) { return OutputPlace::names; },
    .write = [](const OutputJob&) {},
};

}  // namespace cbuild::exporter
