// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/config_base.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/stages/scope.h"

namespace cbuild::frontend {

namespace {
constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

oci::ImageConfig scratch_config(const oci::Platform& platform) {
  oci::ImageConfig image;
  image.platform = platform;
  image.config.working_dir = "/";
  ensure_path(image, platform);
  return image;
}

void ensure_path(oci::ImageConfig& image, const oci::Platform& platform) {
  if (platform.os == "windows") return;
  std::vector<std::string>& env = image.config.env;
  const bool has_path =
      std::any_of(env.begin(), env.end(), [](const std::string& e) { return split_assignment(e).first == "PATH"; });
  if (!has_path) env.emplace_back(kDefaultPath);
}

void set_config_env(std::vector<std::string>& env, EnvPlaces& places, const std::string& name, std::string_view value) {
  if (places.size != env.size()) {
    places.by_name.clear();
    for (std::size_t i = 0; i < env.size(); ++i) places.by_name.emplace(split_assignment(env[i]).first, i);
  }
  const auto [place, is_new] = places.by_name.emplace(name, env.size());
  if (is_new) env.emplace_back();
  env[place->second] = cat(name, "=", value);
  places.size = env.size();
}

std::string join_workdir(std::string_view parent, std::string_view path) {
  const std::string base = parent.starts_with('/') ? std::string(parent) : join_path("/", parent);
  if (path.empty()) return base;
  return path.starts_with('/') ? std::string(path) : join_path(base, path);
}

bool has_no_layers(const oci::ImageConfig& image) {
  return image.diff_ids.empty() &&
         std::all_of(image.history.begin(), image.history.end(), [](const auto& entry) { return entry.empty_layer; });
}

}  // namespace cbuild::frontend
