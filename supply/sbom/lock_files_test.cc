// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/lock_files.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::supply {
namespace {

/// "type:namespace/name@version" of each.
std::vector<std::string> named(const std::vector<Package>& packages) {
  std::vector<std::string> out;
  for (const Package& package : packages)
    out.push_back(cat(package.type, ":", package.name_space, package.name_space.empty() ? "" : "/", package.name, "@",
                      package.version));
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("npm: both versions of package-lock.json") {
  CHECK(named(parse_package_lock(
            R"({"packages": {"": {"name": "app", "version": "1"}, "node_modules/a": {"version": "1.0"},
                "node_modules/a/node_modules/@s/b": {"version": "2.0"}, "node_modules/link": {"link": true},
                "node_modules/alias": {"name": "real", "version": "3.0"}}})")) ==
        Names{"npm:a@1.0", "npm:@s/b@2.0", "npm:real@3.0"});
  CHECK(named(parse_package_lock(
            R"({"dependencies": {"a": {"version": "1", "dependencies": {"b": {"version": "2"}}}}})")) ==
        Names{"npm:a@1", "npm:b@2"});
}

TEST_CASE("yarn: version 1 and later ones") {
  CHECK(named(parse_yarn_lock("# yarn lockfile v1\n\n\"@babel/core@^7.0\", \"@babel/core@^7.1\":\n  version \"7.2.0\"\n"
                              "  dependencies:\n    version \"9\"\n\nlodash@^4:\n  version \"4.17.21\"\n")) ==
        Names{"npm:@babel/core@7.2.0", "npm:lodash@4.17.21"});
  CHECK(named(parse_yarn_lock("__metadata:\n  version: 6\n\n\"a@npm:^1.0, a@npm:^1.1\":\n  version: 1.2.0\n")) ==
        Names{"npm:a@1.2.0"});
}

TEST_CASE("pnpm: keys of all versions") {
  CHECK(named(parse_pnpm_lock("lockfileVersion: '6.0'\ndependencies:\n  x:\n    version: 1\npackages:\n\n  /a@1.0.0:\n"
                              "    resolution: {}\n  /@s/b@2.0.0(a@1.0.0):\n    dev: true\n  '@t/c@3.0.0':\n    x: 1\n"
                              "  /d/4.0.0:\n    x: 1\nsnapshots:\n  e@5:\n")) ==
        Names{"npm:a@1.0.0", "npm:@s/b@2.0.0", "npm:@t/c@3.0.0", "npm:d@4.0.0"});
}

TEST_CASE("python: requirements, poetry, Pipfile and installed distributions") {
  CHECK(named(parse_requirements(
            "# x\nFlask_Login==1.0 ; python_version > '3'\nrequests[socks]==2.31.0 \\\n  --hash=sha256:aa\n"
            "a>=1\n-r other==1\nb==1.*\nc===4\n")) ==
        Names{"pypi:flask-login@1.0", "pypi:requests@2.31.0", "pypi:c@4"});
  CHECK(named(parse_poetry_lock(
            "[[package]]\nname = \"A.B\"\nversion = \"1.0\"\n\n[package.dependencies]\nversion = \"9\"\n"
            "[[package]]\nname = \"c\"\nversion = \"2\"\n[metadata]\nversion = \"3\"\n")) ==
        Names{"pypi:a-b@1.0", "pypi:c@2"});
  CHECK(named(parse_pipfile_lock(
            R"({"default": {"A": {"version": "==1"}, "g": {"git": "x"}}, "develop": {"b": {"version": "==2"}}})")) ==
        Names{"pypi:a@1", "pypi:b@2"});
  CHECK(named(parse_python_metadata("Metadata-Version: 2.1\nName: My_Pkg\nVersion: 1.2\n\nName: other\n")) ==
        Names{"pypi:my-pkg@1.2"});
}

TEST_CASE("cargo, go, gem, composer, maven") {
  CHECK(named(parse_cargo_lock("version = 3\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\n")) ==
        Names{"cargo:serde@1.0.1"});
  CHECK(named(parse_go_sum("golang.org/x/sys v0.1.0 h1:a=\ngolang.org/x/sys v0.1.0/go.mod h1:b=\nflat v1 h1:c=\n")) ==
        Names{"golang:golang.org/x/sys@v0.1.0", "golang:flat@v1"});
  CHECK(named(parse_gemfile_lock(
            "GEM\n  remote: https://r/\n  specs:\n    rack (2.2.3)\n      x (~> 1)\n    rake (13.0)\n\n"
            "DEPENDENCIES\n    no (1)\n")) == Names{"gem:rack@2.2.3", "gem:rake@13.0"});
  CHECK(
      named(parse_composer_lock(
          R"({"packages": [{"name": "v/n", "version": "1.0"}], "packages-dev": [{"name": "d/e", "version": "2"}]})")) ==
      Names{"composer:v/n@1.0", "composer:d/e@2"});
  CHECK(named(parse_maven_pom(
            "<project><properties><v>3.1</v></properties><dependencies><dependency><groupId>g</groupId>"
            "<artifactId>a</artifactId><version>${v}</version></dependency><dependency>"
            "<groupId>g</groupId><artifactId>managed</artifactId></dependency></dependencies></project>")) ==
        Names{"maven:g/a@3.1"});
}

TEST_CASE("lock files are known by their names") {
  for (const char* name : {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
                           "requirements.txt", "requirements-dev.txt", "poetry.lock", "Pipfile.lock", "Cargo.lock",
                           "go.sum", "Gemfile.lock", "composer.lock", "pom.xml"})
    CHECK(find_lock_file(name) != nullptr);
  for (const char* name : {"", "package.json", "Yarn.lock", "requirements.txt.bak"})
    CHECK(find_lock_file(name) == nullptr);
}

TEST_CASE("parsers of lock files take anything") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const std::string nested = replace_all(std::string(5'000, 'x'), "x", "{\"dependencies\":{\"a\":");
  for (const std::string& text :
       std::initializer_list<std::string>{"",
                                          "\n",
                                          ":",
                                          "==",
                                          "@",
                                          "[[package]]",
                                          "null",
                                          "[]",
                                          "3",
                                          "{\"packages\": 3}",
                                          "{\"packages\": {\"x\": null}}",
                                          "{\"packages\": {\"node_modules/\": {\"version\": 1}}}",
                                          "packages:\n  :\n  /:\n  @:\n",
                                          "<dependency></dependency>",
                                          "<dependency>",
                                          "GEM\n     (\n    x (\n",
                                          std::string(1, '\0'),
                                          "\xff\xfe",
                                          "a@:",
                                          "\":\n  version\n",
                                          deep,
                                          nested}) {
    CAPTURE(text.substr(0, 60));
    for (const auto parse : {parse_package_lock, parse_composer_lock, parse_pipfile_lock, parse_yarn_lock,
                             parse_pnpm_lock, parse_requirements, parse_poetry_lock, parse_cargo_lock, parse_go_sum,
                             parse_gemfile_lock, parse_maven_pom, parse_python_metadata})
      CHECK(parse(text).empty());
  }
}

}  // namespace cbuild::supply
