// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/system_packages.h"

#include <doctest/doctest.h>

namespace cbuild::supply {

TEST_CASE("os-release names the distribution") {
  const Distribution debian = parse_os_release("NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n");
  CHECK(debian.str() == "debian-12");
  CHECK(parse_os_release("ID='arch'\nIDX=1").str() == "arch");
  CHECK(parse_os_release("").str().empty());
}

TEST_CASE("dpkg: installed packages, with the source they were built from") {
  const std::vector<Package> found = parse_dpkg_status(
      "Package: libcurl4\nStatus: install ok installed\nArchitecture: amd64\nSource: curl (7.88-1)\nVersion: "
      "7.88.1-10\n"
      "Maintainer: A B <a@b>\nDescription: text\n more: text\n .\n\nPackage: gone\nStatus: deinstall ok config-files\n"
      "Version: 1\n\nPackage: held\nStatus: hold ok installed\nVersion: 2\n",
      {"debian", "12"});
  REQUIRE(found.size() == 2);
  CHECK(found[0] == Package{"deb",
                            "debian",
                            "libcurl4",
                            "7.88.1-10",
                            {{"arch", "amd64"}, {"distro", "debian-12"}, {"upstream", "curl@7.88-1"}},
                            {},
                            "A B <a@b>",
                            {}});
  CHECK(found[1].name == "held");
  CHECK(parse_dpkg_status("Package: base-files\nVersion: 12\n", {}).at(0).name_space == "debian");
}

TEST_CASE("apk: every package of the database") {
  const std::vector<Package> found = parse_apk_database(
      "C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:N "
      "<n@m>\nF:lib\nR:ld-musl.so.1\n\nP:musl-utils\nV:1\no:musl\n",
      {"alpine", "3.18.4"});
  REQUIRE(found.size() == 2);
  CHECK(found[0] == Package{"apk",
                            "alpine",
                            "musl",
                            "1.2.4-r2",
                            {{"arch", "x86_64"}, {"distro", "alpine-3.18.4"}, {"upstream", ""}},
                            "MIT",
                            "N <n@m>",
                            {}});
  CHECK(found[1].qualifiers.at("upstream") == "musl");
}

TEST_CASE("anything else gives no package") {
  for (const char* text : {"", "\n\n", "x", ":", " :", "\xff\n", "Package:\n\n"}) {
    CHECK(parse_dpkg_status(text, {}).empty());
    CHECK(parse_apk_database(text, {}).empty());
  }
}

}  // namespace cbuild::supply
