// SPDX-License-Identifier: Apache-2.0
#include "exporter/copy/image_place.h"

#include "base/error.h"
#include "base/text.h"
#include "cache/store.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

struct Scheme {
  std::string_view name;
  bool needs_slashes;
};
constexpr Scheme kSchemes[] = {{"docker", true},          {"oci-layout", false}, {"oci-archive", false},
                               {"docker-archive", false}, {"oci", false},        {"store", false}};

/// The scheme of a place, taken off it; empty if it has none.
std::string_view take_scheme(std::string_view& text) {
  for (const auto& [name, needs_slashes] : kSchemes) {
    if (!text.starts_with(cat(name, ":"))) continue;
    const std::string_view rest = text.substr(name.size() + 1);
    if (!rest.starts_with("//")) {
      // "oci:1.0" is a name with a tag.
      if (needs_slashes || (rest.find('/') == std::string_view::npos && name == "oci")) continue;
      text = rest;
    } else {
      text = rest.substr(2);
    }
    return name;
  }
  return {};
}

/// "FILE", "TAG" or "@DIGEST" of "FILE[:TAG|@DIGEST]". A tag may be a whole name, with colons and slashes.
std::pair<std::string, std::string> split_place(std::string_view text) {
  const std::size_t at = text.find("@sha");
  if (at != std::string_view::npos && text.substr(0, at).find(':') == std::string_view::npos)
    return {std::string(text.substr(0, at)), std::string(text.substr(at))};
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {std::string(text), {}};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::unique_ptr<ImagePlace> place_without_scheme(const std::string& text, PlaceUse use, const PlaceServices& services) {
  const oci::Reference reference = oci::parse_reference(text);
  if (use == PlaceUse::read && services.store != nullptr)
    for (const std::string& name : {text, reference.str()})
      if (services.store->image(name)) return store_place(name, services);
  return registry_place(reference, use, services);
}

}  // namespace

std::unique_ptr<ImagePlace> open_place(const std::string& text, PlaceUse use, const PlaceServices& services) {
  std::string_view rest = text;
  const std::string_view scheme = take_scheme(rest);
  if (rest.empty()) throw Error(ErrorCode::usage, cat("invalid image ", go_quote(text), ": the name is missing"));
  if (scheme.empty() && text.find("://") != std::string::npos)
    throw Error(ErrorCode::usage, cat("invalid image ", go_quote(text), ": the scheme is not known"))
        .with_hint("docker://NAME, oci-layout://DIR, oci-archive://FILE, docker-archive://FILE or store://NAME");
  if (scheme.empty()) return place_without_scheme(text, use, services);
  if (scheme == "docker") return registry_place(oci::parse_reference(rest), use, services);
  if (scheme == "store") return store_place(std::string(rest), services);
  if (use == PlaceUse::change) use = PlaceUse::read;
  const auto [path, selector] = split_place(rest);
  if (path.empty()) throw Error(ErrorCode::usage, cat("invalid image ", go_quote(text), ": the path is missing"));
  if (scheme == "oci-archive" || scheme == "docker-archive")
    return archive_place(path, selector, scheme == "docker-archive", use);
  return layout_place(path, selector, use);
}

ImageDocument document_of(std::string body, const oci::Annotations& annotations) {
  ImageDocument out;
  const auto parsed = oci::parse_manifest(body, {}, oci::Digests::any);
  std::visit(
      [&](const auto& document) {
        out.descriptor.media_type = document.media_type;
        out.descriptor.artifact_type = document.artifact_type;
      },
      parsed);
  out.descriptor.digest = sha256(body);
  out.descriptor.size = body.size();
  out.descriptor.annotations = annotations;
  out.body = std::move(body);
  return out;
}

void refuse_sha512(const oci::Descriptor& descriptor) {
  if (descriptor.sha512.empty()) return;
  throw Error(ErrorCode::unsupported, cat(descriptor.sha512, ": images that name blobs by sha512 are not copied"));
}

}  // namespace cbuild::exporter
