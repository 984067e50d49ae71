// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cache/store.h"
#include "exporter/attestation.h"
#include "exporter/image_builder.h"
#include "exporter/outputs.h"

namespace cbuild::exporter {

/// Those of a result that an output gets.
std::vector<Attestation> attestations_for(const Output& output, const ImageResult& result);

/// Throws Error{usage} for an output that is an image and cannot carry attestations.
void check_attestable(const Output& output);

/// The manifests with statements about `image` as `output` wants them: one, or none for an output without attestations.
/// Throws as check_attestable().
std::vector<BuiltImage> attest_image(cache::Store& store, const BuiltImage& image, const ImageResult& result,
                                     const Output& output);

}  // namespace cbuild::exporter
