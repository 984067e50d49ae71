// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "oci/image_config.h"
#include "oci/platform.h"

namespace cbuild::frontend {

/// The config that FROM scratch starts from: platform, WorkingDir "/", the default PATH.
oci::ImageConfig scratch_config(const oci::Platform& platform);

/// Adds the default PATH to an environment that has none; not on Windows.
void ensure_path(oci::ImageConfig& image, const oci::Platform& platform);

/// Where variables stand in an environment. Kept between calls of set_config_env(), so that many settings take linear
/// time.
struct EnvPlaces {
  std::unordered_map<std::string, std::size_t> by_name;
  std::size_t size = 0;  ///< of the environment it was made for
};

/// Replaces the first entry of that name in place, else appends. `places` belongs to `env` or is empty.
void set_config_env(std::vector<std::string>& env, EnvPlaces& places, const std::string& name, std::string_view value);

/// `path` made absolute below `parent`, as WORKDIR does it: an absolute path stays as it was written.
std::string join_workdir(std::string_view parent, std::string_view path);

/// Whether an image has no layers, so that building on it is building on scratch.
bool has_no_layers(const oci::ImageConfig& image);

}  // namespace cbuild::frontend
