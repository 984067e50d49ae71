// SPDX-License-Identifier: Apache-2.0
#include "oci/descriptor.h"

namespace cbuild::oci {

bool is_manifest(std::string_view type) { return type == media_type::kManifest || type == media_type::kDockerManifest; }

bool is_index(std::string_view type) { return type == media_type::kIndex || type == media_type::kDockerIndex; }

bool is_layer(std::string_view type) {
  return type.starts_with(media_type::kLayer) || type.starts_with(media_type::kDockerLayer) ||
         type.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar") ||
         type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar");
}

}  // namespace cbuild::oci
