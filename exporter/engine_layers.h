// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>

#include "base/digest.h"
#include "exporter/engine_api.h"
#include "exporter/image_set.h"

namespace cbuild::exporter {

/// Whether the engine keeps images by their manifests (docker's containerd image store).
bool keeps_manifests(EngineApi& engine);

/// Blobs of layers that an engine need not be sent, because it has images that begin with the same layers. For an
/// engine of docker that keeps unpacked layers; for others none. At most 200 images are looked at.
std::set<Digest> layers_in_engine(EngineApi& engine, const ImageSet& images);

}  // namespace cbuild::exporter
