// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/spdx.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "supply/purl.h"

namespace cbuild::supply {
namespace {

using SpdxJson = nlohmann::ordered_json;

constexpr std::string_view kNone = "NOASSERTION";

/// The element's id: letters, digits, '.' and '-'; the digest keeps two packages apart whose names differ in others.
std::string element_id(const Package& package) {
  std::string name;
  for (const char c : package.name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    name += plain ? c : '-';
  }
  CanonicalWriter all;
  all.text(package.name_space).text(package.name).text(package.version).text(package.path);
  for (const auto& [key, value] : package.qualifiers) all.text(key).text(value);
  return cat("SPDXRef-Package-", package.type, "-", name, "-", all.hash().hex().substr(0, 16));
}

std::string full_name(const Package& package) {
  const bool shown = package.type == "npm" || package.type == "golang" || package.type == "composer";
  if (package.type == "maven") return cat(package.name_space, ":", package.name);
  return shown && !package.name_space.empty() ? cat(package.name_space, "/", package.name) : package.name;
}

std::string supplier_of(const Package& package) {
  if (package.supplier.empty()) return std::string(kNone);
  return cat(package.type == "rpm" ? "Organization: " : "Person: ", package.supplier);
}

SpdxJson package_json(const Package& package) {
  SpdxJson out = {{"name", full_name(package)},
                  {"SPDXID", element_id(package)},
                  {"versionInfo", package.version},
                  {"supplier", supplier_of(package)},
                  {"downloadLocation", kNone},
                  {"filesAnalyzed", false},
                  {"sourceInfo", cat("acquired package info from /", package.path)},
                  {"licenseConcluded", kNone},
                  {"licenseDeclared", kNone}};
  if (!package.license.empty()) out["licenseComments"] = cat("the package says: ", package.license);
  out["copyrightText"] = kNone;
  const Purl purl{package.type, package.name_space, package.name, package.version, package.qualifiers};
  out["externalRefs"] = SpdxJson::array(
      {{{"referenceCategory", "PACKAGE-MANAGER"}, {"referenceType", "purl"}, {"referenceLocator", purl.str()}}});
  return out;
}

SpdxJson relation(const std::string& from, const char* type, const std::string& to) {
  return {{"spdxElementId", from}, {"relationshipType", type}, {"relatedSpdxElement", to}};
}

}  // namespace

std::string to_spdx(const SpdxHead& head, const std::vector<Package>& packages) {
  const std::string root = "SPDXRef-DocumentRoot";
  SpdxJson list = SpdxJson::array(), relations = SpdxJson::array({relation("SPDXRef-DOCUMENT", "DESCRIBES", root)});
  list.push_back({{"name", head.name},
                  {"SPDXID", root},
                  {"downloadLocation", kNone},
                  {"filesAnalyzed", false},
                  {"licenseConcluded", kNone},
                  {"licenseDeclared", kNone},
                  {"copyrightText", kNone},
                  {"primaryPackagePurpose", "CONTAINER"}});
  for (const Package& package : packages) {
    list.push_back(package_json(package));
    relations.push_back(relation(root, "CONTAINS", list.back().at("SPDXID")));
  }
  const auto dump = [](const SpdxJson& json) { return json.dump(-1, ' ', false, SpdxJson::error_handler_t::replace); };
  const Digest content = sha256(cat(dump(list), head.created_s));
  const SpdxJson out = {
      {"spdxVersion", "SPDX-2.3"},
      {"dataLicense", "CC0-1.0"},
      {"SPDXID", "SPDXRef-DOCUMENT"},
      {"name", head.name},
      {"documentNamespace", cat("https://spdx.org/spdxdocs/cbuild-", content.hex())},
      {"creationInfo",
       {{"creators", SpdxJson::array({cat("Tool: ", head.tool)})}, {"created", format_rfc3339(head.created_s)}}},
      {"packages", std::move(list)},
      {"relationships", std::move(relations)}};
  return dump(out);
}

}  // namespace cbuild::supply
