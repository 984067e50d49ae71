// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exporter/outputs.h"

namespace cbuild::exporter {

/// Pushes an image under one name: blobs in parallel, layers of a base on the same registry by cross-repository mount, then the
/// manifest. Throws Error.
void push_image(const BuiltImage& image, const std::string& name, bool by_digest, ExportContext& context);

}  // namespace cbuild::exporter
