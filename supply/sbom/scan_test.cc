// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/scan.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::supply {
namespace {

/// Files by path; a directory is there if a file is below it.
struct FakeTree final : FileTree {
  std::map<std::string, std::string> files;
  std::set<std::string> programs;  ///< those that may be run
  std::set<std::string> asked;

  std::vector<Entry> list(const std::string& directory) override {
    std::map<std::string, Entry> out;
    const std::string prefix = directory.empty() ? "" : directory + "/";
    for (const auto& [path, content] : files) {
      if (!path.starts_with(prefix)) continue;
      const std::string rest = path.substr(prefix.size());
      const std::string name = rest.substr(0, rest.find('/'));
      const bool below = rest.size() > name.size();
      out[name] = {name, below, !below, !below && programs.contains(path), below ? 0 : content.size()};
    }
    if (out.empty()) throw Error(ErrorCode::not_found, directory);
    std::vector<Entry> entries;
    for (const auto& [name, entry] : out) entries.push_back(entry);
    return entries;
  }
  std::optional<std::string> read(const std::string& path, std::size_t limit) override {
    asked.insert(path);
    const auto found = files.find(path);
    return found == files.end() || found->second.size() > limit ? std::nullopt : std::optional(found->second);
  }
  void with_parts(
      const std::string& path,
      const std::function<void(const std::function<std::string(std::uint64_t, std::size_t)>&)>& use) override {
    const std::string& content = files.at(path);
    use([&](std::uint64_t offset, std::size_t size) {
      return offset > content.size() ? std::string() : content.substr(static_cast<std::size_t>(offset), size);
    });
  }
};

}  // namespace

TEST_CASE("a scan finds packages of the system and of lock files, each with its file") {
  FakeTree tree;
  tree.files = {{"etc/os-release", "ID=debian\nVERSION_ID=12\n"},
                {"var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n"},
                {"var/lib/dpkg/status.d/tz", "Package: tzdata\nVersion: 2\n"},
                {"var/lib/dpkg/status.d/tz.md5sums", "Package: no\nVersion: 3\n"},
                {"srv/app/package-lock.json", R"({"packages": {"node_modules/x": {"version": "1"}}})"},
                {"usr/lib/python3/dist-packages/y-1.dist-info/METADATA", "Name: y\nVersion: 1\n\n"},
                {"usr/share/doc/METADATA", "Name: z\nVersion: 1\n\n"},
                {"proc/yarn.lock", "p@1:\n  version \"1\"\n"}};
  const ScanResult found = scan_packages(tree);
  std::vector<std::string> lines;
  for (const Package& package : found.packages)
    lines.push_back(cat(package.type, " ", package.name, " ", package.version, " ", package.path));
  CHECK(lines == std::vector<std::string>{"deb a 1 var/lib/dpkg/status", "deb tzdata 2 var/lib/dpkg/status.d/tz",
                                          "npm x 1 srv/app/package-lock.json",
                                          "pypi y 1 usr/lib/python3/dist-packages/y-1.dist-info/METADATA"});
  CHECK(found.packages[0].qualifiers.at("distro") == "debian-12");
  CHECK(found.notes.empty());
}

TEST_CASE("a scan of nothing finds nothing") {
  FakeTree tree;
  CHECK(scan_packages(tree).packages.empty());
}

TEST_CASE("parts that cannot be read are noted") {
  FakeTree tree;
  tree.files = {{"var/lib/rpm/rpmdb.sqlite", "junk"}, {"var/lib/rpm/Packages", "old"}, {"app/go.sum", "a v1 h1:x=\n"}};
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "d/";
  tree.files[deep + "go.sum"] = "b v1 h1:x=\n";
  const ScanResult found = scan_packages(tree);
  CHECK(found.packages.size() == 1);
  REQUIRE(found.notes.size() == 2);
  CHECK(found.notes[0].starts_with("var/lib/rpm/rpmdb.sqlite: rpm database: "));
  CHECK(found.notes[1].ends_with(": too deep"));
  tree.files.erase("var/lib/rpm/rpmdb.sqlite");
  CHECK(scan_packages(tree).notes.at(0) == "var/lib/rpm/Packages: only rpm's SQLite database is read");
}

TEST_CASE("a scan can be cancelled") {
  FakeTree tree;
  tree.files = {{"a/b/c", ""}};
  CHECK_THROWS_AS(scan_packages(tree, [] { throw Error(ErrorCode::cancelled, "stop"); }), Error);
}

}  // namespace cbuild::supply
