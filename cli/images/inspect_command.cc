// SPDX-License-Identifier: Apache-2.0
// `cbuild inspect`: the documents of an image. No more is asked of a registry than what is printed: for an index
// without
// --platform that is the index alone, and a template reads configs and attestations only where it names them.
#include "cli/images/inspect_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/images/image_places.h"
#include "cli/images/inspect_text.h"
#include "cli/report/exit_codes.h"
#include "cli/report/go_template.h"
#include "exporter/copy/image_copy.h"
#include "exporter/copy/image_facts.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kProvenance[] = "https://slsa.dev/provenance/", kSpdx[] = "https://spdx.dev/Document";

struct InspectLine {
  std::string root, name, format;
  std::vector<std::string> platforms;
  bool raw = false, referrers = false;
  RegistryFlags registry;
};

/// As a person writes a name of an image for docker's commands: complete.
std::string shown_name(const exporter::ImagePlace& place, const std::string& given) {
  if (const auto reference = place.repository()) return reference->str();
  return place.kind() == exporter::PlaceKind::store ? place.name() : given;
}

/// Parts of the model that a format asks for.
struct Wanted {
  bool configs = false, attestations = false;
};

Wanted wanted_by(const std::string& format) {
  if (format == "json") return {true, true};
  std::string folded = to_lower(format);
  const auto names = [&](std::string_view part) { return folded.find(part) != std::string::npos; };
  std::erase(folded, ' ');
  const bool all = names("json.}") || names("json$}") || names("{{.}}");
  const bool attestations = all || names(".sbom") || names(".provenance");
  return {all || attestations || names(".image"), attestations};
}

/// {"SLSA": predicate} of all provenance, {"SPDX": predicate} of all SBOMs; null without one.
Json predicates(exporter::ImagePlace& place, const exporter::PlatformImage& image, std::string_view type,
                const char* key) {
  Json out;
  for (const exporter::StatementBlob& attestation : image.attestations) {
    if (!attestation.predicate_type.starts_with(type)) continue;
    const Json statement = Json::parse(place.small_blob(attestation.blob), nullptr, false);
    if (!statement.is_object())
      throw Error(ErrorCode::corrupt, cat(attestation.blob.name(), " is not an in-toto statement"));
    const auto predicate = statement.find("predicate");
    if (predicate != statement.end() && out.is_null()) out[key] = *predicate;
  }
  return out;
}

/// The model of templates: one image's values as they are, those of several by platform.
Json model_of(exporter::ImagePlace& place, const exporter::ImageDocument& image, const InspectLine& line) {
  const Wanted wanted = wanted_by(line.format);
  Json out{{"name", shown_name(place, line.name)}, {"manifest", manifest_json(image)}};
  out["image"] = out["provenance"] = out["sbom"] = nullptr;
  if (!wanted.configs) return out;
  const std::vector<exporter::PlatformImage> images = exporter::read_platform_images(place, image, {});
  for (const exporter::PlatformImage& one : images) {
    const bool single = images.size() == 1;
    const auto add = [&](const char* key, Json value) {
      if (value.is_null()) return;
      if (single) out[key] = std::move(value);
      if (!single) out[key][one.platform.str()] = std::move(value);
    };
    if (!one.config_json.empty()) add("image", Json::parse(one.config_json));
    if (!wanted.attestations) continue;
    add("provenance", predicates(place, one, kProvenance, "SLSA"));
    add("sbom", predicates(place, one, kSpdx, "SPDX"));
  }
  return out;
}

void print_text(exporter::ImagePlace& place, const exporter::ImageDocument& image, const InspectLine& line) {
  print_manifest(std::cout, shown_name(place, line.name), image);
  const bool is_index = oci::is_index(image.descriptor.media_type);
  if (!is_index || !line.platforms.empty()) {
    const std::vector<oci::Platform> platforms = wanted_platforms(line.platforms);
    const auto images = exporter::read_platform_images(place, image, platforms);
    if (images.empty())
      throw Error(ErrorCode::not_found, cat(place.name(), " has no image for ", join(line.platforms, ", ")));
    for (const exporter::PlatformImage& one : images) print_platform_image(std::cout, one);
  }
  if (line.referrers) print_referrers(std::cout, place.referrers(image.descriptor.digest));
}

}  // namespace

int inspect_command(Arguments arguments) {
  InspectLine line;
  CLI::App app{"Show the manifest, config, layers, history and attestations of an image", "cbuild inspect"};
  app.add_option("IMAGE", line.name,
                 "[docker://]NAME, oci-layout://DIR[:TAG], oci-archive://FILE, docker-archive://FILE, store://NAME")
      ->required();
  app.add_option("--format", line.format,
                 "json, or a Go template over .Name, .Manifest, .Image, .Provenance and .SBOM");
  app.add_option("--platform", line.platforms, "Show all of these platforms of an index")->allow_extra_args(false);
  app.add_flag("--raw", line.raw, "Print the manifest or index, byte for byte");
  app.add_flag("--referrers", line.referrers, "List signatures and other artifacts that name the image");
  line.registry.add_to(app);
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  if (line.raw && !line.format.empty()) throw Error(ErrorCode::usage, "--raw and --format do not go together");
  ImagePlaces places(line.root, line.registry, {line.name});
  exporter::ImagePlace& place = places.read(line.name);
  const bool chosen = line.raw || !line.format.empty();
  const exporter::ImageDocument image =
      chosen ? exporter::chosen_image(place, wanted_platforms(line.platforms)) : place.root();
  if (line.raw) {
    std::cout << image.body << std::flush;  // no newline: the digest is that of the output
  } else if (line.format.empty() || trim(replace_all(line.format, " ", "")) == "{{.Manifest}}") {
    print_text(place, image, line);
  } else if (line.format == "json") {
    std::cout << model_of(place, image, line).dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  } else {
    std::cout << fill_template(line.format, model_of(place, image, line)) << '\n';
  }
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
