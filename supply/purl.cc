// SPDX-License-Identifier: Apache-2.0
#include "supply/purl.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace cbuild::supply {
namespace {

std::string percent_encode(std::string_view text, std::string_view kept) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos ||
                       kept.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace

std::string Purl::str() const {
  std::string out = cat("pkg:", type);
  for (const std::string& segment : split(name_space, '/'))
    if (!segment.empty()) out += cat("/", percent_encode(segment, {}));
  out += cat("/", percent_encode(name, {}));
  if (!version.empty()) out += cat("@", percent_encode(version, ":"));
  char separator = '?';
  for (const auto& [key, value] : qualifiers) {
    if (value.empty()) continue;
    out += cat(separator, key, "=", percent_encode(value, ":"));
    separator = '&';
  }
  return out;
}

std::string image_purl(std::string_view type, const oci::Reference& reference,
                       const std::optional<oci::Platform>& platform) {
  oci::Reference bare = reference;
  bare.tag.clear();
  bare.digest.reset();
  bare.sha512.clear();
  const std::string name = bare.familiar();
  const std::size_t slash = name.rfind('/');
  Purl purl{std::string(type), {}, name, reference.tag, {}};
  if (slash != std::string::npos) {
    purl.name_space = name.substr(0, slash);
    purl.name = name.substr(slash + 1);
  }
  if (reference.digest) purl.qualifiers["digest"] = reference.digest->str();
  if (!reference.sha512.empty()) purl.qualifiers["digest"] = reference.sha512;
  if (platform) purl.qualifiers["platform"] = oci::normalize(*platform).str();
  return purl.str();
}

}  // namespace cbuild::supply
