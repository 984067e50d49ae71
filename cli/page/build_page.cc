// SPDX-License-Identifier: Apache-2.0
// The page of a build is a frame, a style and a script, which draws the document that stands in the page as JSON. So
// nothing of a build is ever put into HTML here, and the script makes text nodes only.
#include "cli/page/build_page.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cli/page/page_assets.h"
#include "cli/report/history_export.h"
#include "exporter/copy/image_facts.h"
#include "exporter/copy/image_place.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

/// In a script element nothing ends the text but "</script" and, after "<!--", some words after a `<`.
std::string json_for_script(const Json& document) {
  std::string out;
  for (const char c : document.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

bool is_same_build(const engine::BuildEntry& a, const engine::BuildEntry& b) {
  return a.name == b.name && a.context == b.context && a.dockerfile == b.dockerfile && a.target == b.target;
}

Json build_before(cache::Store& store, const engine::BuildEntry& build) {
  for (const cache::Store::BuildSummary& summary : store.builds(cache::kKeptBuilds)) {
    const engine::BuildEntry entry = engine::from_summary(summary);
    if (entry.id != build.id && entry.started_ns < build.started_ns && is_same_build(entry, build))
      return to_json(entry);
  }
  return nullptr;
}

/// The layers with the instructions of the config's history that made them.
Json layers_of(const exporter::PlatformImage& image) {
  std::vector<std::string> made_by;
  for (const oci::HistoryEntry& entry : image.config.history)
    if (!entry.empty_layer) made_by.push_back(entry.created_by);
  Json out = Json::array();
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const oci::Descriptor& layer = image.manifest.layers[i];
    out.push_back({{"digest", layer.name()},
                   {"size", layer.size},
                   {"created_by", i < made_by.size() ? made_by[i] : std::string()}});
  }
  return out;
}

/// Empty if the name leads to another image by now.
Json images_of(cache::Store& store, const engine::BuildEntry& build) {
  Json out = Json::array();
  if (build.name.empty() || build.image.empty()) return out;
  try {
    const auto place = exporter::store_place(build.name, {.store = &store});
    const exporter::ImageDocument document = place->root();
    for (const exporter::PlatformImage& image : exporter::read_platform_images(*place, document, {})) {
      const Json config = Json::parse(image.config_json, nullptr, false);
      const bool named = build.image == document.descriptor.digest.str() ||
                         build.image == image.descriptor.digest.str() ||
                         build.image == image.manifest.config.digest.str();
      if (named && config.is_object())
        out.push_back({{"platform", image.platform.str()},
                       {"layers", layers_of(image)},
                       {"config", config.value("config", Json::object())}});
    }
  } catch (const Error&) {
    // The image or a part of it is gone: the page does without.
  }
  return out;
}

void replace_mark(std::string& text, std::string_view mark, std::string_view by) {
  const std::size_t at = text.find(mark);
  CBUILD_CHECK(at != std::string::npos);
  text.replace(at, mark.size(), by);
}

}  // namespace

Json page_document(cache::Store& store, const engine::BuildEntry& build) {
  return {{"build", export_build(store, build)["build"]},
          {"before", build_before(store, build)},
          {"images", images_of(store, build)}};
}

std::string page_of(const Json& document) {
  std::string out(kPageFrame);
  replace_mark(out, "@STYLE@", kPageStyle);
  replace_mark(out, "@SCRIPT@", kPageScript);
  replace_mark(out, "@DATA@", json_for_script(document));
  return out;
}

}  // namespace cbuild::cli
