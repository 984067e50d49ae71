// SPDX-License-Identifier: Apache-2.0
// dockerd unpacks an archive of `docker save` layer by layer, and passes over the file of a layer whose chain it has.
// So files of the first layers may be left out, as far as an image there has the same ones. Podman opens every layer
// file before it looks, and an image store by manifests wants the blobs: they get all.
#include "exporter/engine_layers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/image_config.h"

namespace cbuild::exporter {
namespace {

constexpr std::size_t kMostLookedAt = 200;

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

bool is_docker(EngineApi& engine) {
  const nlohmann::json version = engine.get("/version");
  const auto parts = version.is_object() ? version.find("Components") : version.end();
  if (parts == version.end() || !parts->is_array()) return false;
  return std::any_of(parts->begin(), parts->end(),
                     [](const nlohmann::json& part) { return text_of(part, "Name") == "Engine"; });
}

/// The ids of layers that each image is made of, the newest images first.
std::vector<std::vector<std::string>> stacks_in(EngineApi& engine) {
  std::vector<std::vector<std::string>> out;
  const nlohmann::json images = engine.get("/images/json?all=1");
  if (!images.is_array()) return out;
  for (const nlohmann::json& image : images) {
    const std::string id = text_of(image, "Id");
    if (out.size() == kMostLookedAt) break;
    if (!Digest::parse(id)) continue;
    try {
      const nlohmann::json facts = engine.get(cat("/images/", id, "/json"));
      const auto root = facts.find("RootFS");
      if (root != facts.end() && root->is_object() && root->contains("Layers"))
        out.push_back(root->at("Layers").get<std::vector<std::string>>());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // removed meanwhile
    } catch (const nlohmann::json::exception&) {
      continue;  // an answer of another form says nothing
    }
  }
  return out;
}

std::size_t common_part(const std::vector<Digest>& ours, const std::vector<std::string>& theirs) {
  std::size_t out = 0;
  while (out < ours.size() && out < theirs.size() && ours[out].str() == theirs[out]) ++out;
  return out;
}

}  // namespace

bool keeps_manifests(EngineApi& engine) {
  const nlohmann::json info = engine.get("/info");
  const auto status = info.is_object() ? info.find("DriverStatus") : info.end();
  return status != info.end() && status->dump().find("io.containerd.snapshotter.v1") != std::string::npos;
}

std::set<Digest> layers_in_engine(EngineApi& engine, const ImageSet& images) {
  if (images.manifests.size() != 1 || !is_docker(engine) || keeps_manifests(engine)) return {};
  const BuiltImage& image = images.manifests.front();
  const std::vector<Digest> diff_ids = oci::parse_image_config(image.config_json).diff_ids;
  std::size_t present = 0;
  for (const std::vector<std::string>& stack : stacks_in(engine))
    present = std::max(present, common_part(diff_ids, stack));
  std::set<Digest> out, needed;
  for (std::size_t i = 0; i < image.content.layers.size(); ++i)
    (i < present ? out : needed).insert(image.content.layers[i].digest);
  std::erase_if(out, [&](const Digest& digest) { return needed.contains(digest); });
  return out;
}

}  // namespace cbuild::exporter
