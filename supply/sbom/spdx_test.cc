// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/spdx.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace cbuild::supply {

using SpdxTestJson = nlohmann::json;

TEST_CASE("an SPDX document describes the root and what it contains") {
  const std::vector<Package> packages = {
      {"deb", "debian", "libc++6", "1:2-3", {{"arch", "amd64"}}, "GPL", "A <a@b>", "var/lib/dpkg/status"},
      {"npm", "@s", "x", "1", {}, {}, {}, "app/yarn.lock"},
      {"rpm", "fedora", "bash", "5", {}, {}, "Fedora", "usr/lib/sysimage/rpm/rpmdb.sqlite"}};
  const SpdxTestJson json = SpdxTestJson::parse(to_spdx({"app:1", "cbuild-0.1.0", 7}, packages));
  CHECK(json.at("spdxVersion") == "SPDX-2.3");
  CHECK(json.at("dataLicense") == "CC0-1.0");
  CHECK(json.at("creationInfo").at("created") == "1970-01-01T00:00:07Z");
  CHECK(json.at("creationInfo").at("creators") == SpdxTestJson::array({"Tool: cbuild-0.1.0"}));
  REQUIRE(json.at("packages").size() == 4);
  const SpdxTestJson& deb = json.at("packages").at(1);
  CHECK(deb.at("name") == "libc++6");
  CHECK(deb.at("versionInfo") == "1:2-3");
  CHECK(deb.at("supplier") == "Person: A <a@b>");
  CHECK(deb.at("licenseComments") == "the package says: GPL");
  CHECK(deb.at("sourceInfo") == "acquired package info from /var/lib/dpkg/status");
  CHECK(deb.at("externalRefs").at(0).at("referenceLocator") == "pkg:deb/debian/libc%2B%2B6@1:2-3?arch=amd64");
  CHECK(json.at("packages").at(2).at("name") == "@s/x");
  CHECK(json.at("packages").at(3).at("supplier") == "Organization: Fedora");
  CHECK(json.at("relationships").size() == 4);
  CHECK(json.at("relationships").at(0).at("relationshipType") == "DESCRIBES");
  std::set<std::string> ids;
  for (const SpdxTestJson& package : json.at("packages")) {
    const std::string id = package.at("SPDXID");
    CHECK(id.starts_with("SPDXRef-"));
    CHECK(std::all_of(id.begin(), id.end(), [](char c) { return std::isalnum(c) != 0 || c == '.' || c == '-'; }));
    ids.insert(id);
  }
  CHECK(ids.size() == 4);
  CHECK(to_spdx({"app:1", "cbuild-0.1.0", 7}, packages) == to_spdx({"app:1", "cbuild-0.1.0", 7}, packages));
}

TEST_CASE("names that are not UTF-8 still make a document") {
  const SpdxTestJson json =
      SpdxTestJson::parse(to_spdx({"\xff", "t", 0}, {{"npm", "\xff", "\xfe", "1", {}, "\xff", "\xff", "\xff"}}));
  CHECK(json.at("packages").size() == 2);
}

}  // namespace cbuild::supply
