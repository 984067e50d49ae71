// SPDX-License-Identifier: Apache-2.0
#include "oci/layer_type.h"

#include <algorithm>
#include <array>

#include "oci/descriptor.h"

namespace cbuild::oci {
namespace {

struct LayerTypes {
  std::string_view oci, docker, oci_foreign, docker_foreign;

  bool holds(std::string_view type) const {
    return type == oci || type == docker || type == oci_foreign || type == docker_foreign;
  }
};

constexpr std::array<LayerTypes, 3> kLayerTypes{{
    {media_type::kLayer, media_type::kDockerLayer, "application/vnd.oci.image.layer.nondistributable.v1.tar",
     "application/vnd.docker.image.rootfs.foreign.diff.tar"},
    {media_type::kLayerGzip, media_type::kDockerLayerGzip,
     "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", media_type::kDockerLayerForeign},
    {media_type::kLayerZstd, "application/vnd.docker.image.rootfs.diff.tar.zstd",
     "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
     "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd"},
}};

const LayerTypes* types_of(std::string_view type) {
  const auto found = std::find_if(kLayerTypes.begin(), kLayerTypes.end(),
                                  [type](const LayerTypes& types) { return types.holds(type); });
  return found == kLayerTypes.end() ? nullptr : &*found;
}

}  // namespace

std::string oci_layer_type(std::string_view media_type) {
  const LayerTypes* types = types_of(media_type);
  return std::string(types == nullptr ? media_type : types->oci);
}

std::string docker_layer_type(std::string_view media_type) {
  const LayerTypes* types = types_of(media_type);
  return std::string(types == nullptr ? media_type : types->docker);
}

bool is_foreign_layer(std::string_view media_type) {
  const LayerTypes* types = types_of(media_type);
  return types != nullptr && (media_type == types->oci_foreign || media_type == types->docker_foreign);
}

std::string foreign_layer_type(std::string_view media_type, bool docker) {
  const LayerTypes* types = types_of(media_type);
  if (types == nullptr) return std::string(media_type);
  return std::string(docker ? types->docker_foreign : types->oci_foreign);
}

}  // namespace cbuild::oci
