// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/digest.h"
#include "base/fd.h"
#include "cache/store.h"
#include "oci/layer/layer_pass.h"

/// The other form of a layer in snapshots/<id>: its uncompressed archive and an EROFS image over it, which is mounted
/// where an unpacked tree would be opened. See docs/decisions/mounted-layers.md.
namespace cbuild::cache {

/// Whether `layer`, which is a blob, should be kept so rather than unpacked: this process may mount, the kernel can,
/// and it is large enough to be worth a mount.
bool should_mount(Store& store, const Layer& layer);

/// Reads the blob and leaves the staging directory in this form. Throws as unpack(), and Error{unsupported} if the
/// layer has to be unpacked; then the staging directory holds leftovers. The store gets the layer's table too.
void write_mounted(Store& store, const Layer& layer, oci::layer::ByteSource blob, const oci::layer::PassOptions& pass,
                   const Staging& staging);

/// Whether snapshots/<name> is of this form.
bool is_mounted_form(int snapshots, const std::string& name);

/// The archive of a layer that is kept so, as a blob that is not compressed. Not verified.
struct KeptArchive {
  UniqueFd file;
  oci::Descriptor descriptor;  ///< digest and size
};
std::optional<KeptArchive> open_archive(Store& store, const Digest& layer);

/// Mounts it; the descriptor, O_PATH, is its root. nullopt if it is damaged or cannot be mounted here. Throws where
/// there is no room for one more file.
std::optional<UniqueFd> open_mounted(int snapshots, const std::string& name);

}  // namespace cbuild::cache
