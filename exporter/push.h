// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exporter/outputs.h"
#include "oci/reference.h"

namespace cbuild::exporter {

/// From which repositories of the target's registry a layer's blob may be mounted, the likeliest first. None if the
/// target itself was seen to hold it.
std::vector<oci::Reference> mount_sources(cache::Store& store, const cache::Layer& layer, const oci::Reference& target);

/// Notes that the repository an image was resolved in has its layers, if that is on the registry of one of `names`:
/// whatever the store knows of where they first came from. `manifest` is in the store.
void note_base(cache::Store& store, const std::string& locator, const Digest& manifest,
               const std::vector<std::string>& names);

/// Pushes images under one name: blobs in parallel, layers that another repository of the registry is known to hold
/// by cross-repository mount, then the manifests, by their digests where an index names them, then the index. Pushed
/// blobs are remembered for later pushes. Throws Error.
void push_images(const ImageSet& images, const std::string& name, bool by_digest, ExportContext& context);

}  // namespace cbuild::exporter
