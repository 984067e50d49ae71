// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/plugin_commands.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/plugin/builders.h"

namespace cbuild::cli {
namespace {

/// The text of a command that is answered here.
std::string printed(const Arguments& words) {
  const std::ostringstream text;
  std::streambuf* const before = std::cout.rdbuf(text.rdbuf());
  const ScopeExit restore([&] { std::cout.rdbuf(before); });
  REQUIRE(std::get<int>(run_buildx(words)) == 0);
  return text.str();
}

Arguments translated(const Arguments& words) { return std::get<Arguments>(run_buildx(words)); }

/// Docker's settings of the test alone.
class Settings {
 public:
  Settings() : directory_(TempDir::in_tmp("cbuild-plugin-test-")) {
    for (const char* name : {"DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "BUILDX_NO_DEFAULT_LOAD"})
      ::unsetenv(name);
    ::setenv("DOCKER_CONFIG", directory_.path().c_str(), 1);
  }
  void add_context(const std::string& name) const {
    const std::string directory = cat("contexts/meta/", sha256(name).hex());
    sys::mkdir_all(directory_.fd(), directory, 0755);
    sys::write_file_at(directory_.fd(), directory + "/meta.json",
                       R"({"Endpoints": {"docker": {"Host": "tcp://far:1"}}})");
  }
  std::string config() const { return sys::read_file_at(directory_.fd(), "config.json", 1000); }

 private:
  TempDir directory_;
};

TEST_CASE("commands of buildx are commands of cbuild") {
  const Settings settings;
  CHECK(translated({"build", "."}) == Arguments{"build", "--default-load", "."});
  CHECK(translated({"f", "app"}) == Arguments{"bake", "--default-load", "app"});
  CHECK(translated({"imagetools", "inspect", "x"}) == Arguments{"inspect", "x"});
  CHECK(translated({"history", "logs", "cbuild/cbuild/ab"}) == Arguments{"history", "logs", "ab"});
  CHECK(translated({"history", "trace", "ab"}) == Arguments{"history", "open", "ab"});
  ::setenv("BUILDX_NO_DEFAULT_LOAD", "1", 1);
  CHECK(translated({"build", "."}) == Arguments{"build", "."});
  ::unsetenv("BUILDX_NO_DEFAULT_LOAD");
}

TEST_CASE("sources of imagetools create may be digests and descriptors") {
  const Settings settings;
  CHECK(translated({"imagetools", "create", "-t", "r:5000/a:1", "--progress", "plain", "sha256:ab",
                    R"({"digest": "sha256:cd"})", "b:2"}) ==
        Arguments{"index", "create", "--tag=r:5000/a:1", "--", "r:5000/a@sha256:ab", "r:5000/a@sha256:cd", "b:2"});
  CHECK_THROWS_WITH_AS(run_buildx({"imagetools", "create", "--dry-run", "sha256:ab"}),
                       "imagetools create: sha256:ab needs --tag for its repository", Error);
}

TEST_CASE("the description is what docker's client and compose ask for") {
  const auto json = nlohmann::json::parse(printed({"docker-cli-plugin-metadata"}));
  CHECK(json["SchemaVersion"] == "0.1.0");
  CHECK(json["Vendor"] != "");
  const std::string version = json["Version"];
  REQUIRE(version.starts_with("v0."));
  CHECK(std::stoi(version.substr(3)) >= 17);
}

TEST_CASE("there is one builder, and what would be another is refused") {
  const Settings settings;
  CHECK(printed({"create", "--use", "--name", "b", "--driver", "docker-container", "--driver-opt", "a=b"}) == "b\n");
  CHECK_THROWS_WITH_AS(run_buildx({"create", "--driver", "remote", "tcp://h"}),
                       "docker buildx create: there is no builder for --driver remote: cbuild builds on this machine",
                       Error);
  CHECK(printed({"rm", "b", "c"}) == "b removed\nc removed\n");
  CHECK(printed({"use", "b"}).empty());
  settings.add_context("far");
  CHECK_THROWS_AS(run_buildx({"use", "far"}), Error);
  CHECK_THROWS_WITH_AS(run_buildx({"buidl"}), "docker buildx: unknown command 'buidl'", Error);
  CHECK_THROWS_AS(run_buildx({"dial-stdio"}), Error);
}

TEST_CASE("a builder with the name of a context is that context's engine") {
  const Settings settings;
  settings.add_context("far");
  choose_builder("any");
  CHECK(current_builder().endpoint == "unix:///var/run/docker.sock");
  choose_builder("far");
  CHECK(current_builder().name == "far");
  CHECK(current_builder().endpoint == "tcp://far:1");
  ::setenv("DOCKER_HOST", "tcp://near:1", 1);
  choose_builder("default");  // as docker's client names it where DOCKER_HOST is set
  CHECK(current_builder().endpoint == "tcp://near:1");
  ::unsetenv("DOCKER_HOST");
  ::unsetenv("DOCKER_CONTEXT");
}

TEST_CASE("lists of builders") {
  const Builder builder{"default", "unix:///s", {"linux/amd64", "linux/386"}};
  CHECK(list_builders(builder, "{{.Name}} {{.Driver}}") == "default cbuild\n");
  CHECK(nlohmann::json::parse(list_builders(builder, "json"))["Nodes"][0]["Platforms"][1] == "linux/386");
  CHECK(list_builders(builder, "").find("default*") != std::string::npos);
  CHECK(describe_builder(builder).find("Platforms:        linux/amd64, linux/386\n") != std::string::npos);
}

TEST_CASE("the alias of docker 20.10 is set and removed, and the rest of the file stays") {
  const Settings settings;
  sys::write_file_at(AT_FDCWD, cat(::getenv("DOCKER_CONFIG"), "/config.json"), R"({"auths": {}, "x": 1})");
  CHECK(printed({"install"}).empty());
  CHECK(nlohmann::json::parse(settings.config()) ==
        nlohmann::json::parse(R"({"auths": {}, "x": 1, "aliases": {"builder": "buildx"}})"));
  CHECK(printed({"uninstall"}).empty());
  CHECK(nlohmann::json::parse(settings.config()) == nlohmann::json::parse(R"({"auths": {}, "x": 1})"));
}

TEST_CASE("completion names the commands") {
  CHECK(printed({"__complete", "buildx", "impor"}) == ":4\n");
  CHECK(printed({"__complete", "buildx", "prun"}) == "prune\tRemove build cache that is not in use\n:4\n");
  CHECK(printed({"__complete", "buildx", "build", ""}) == ":0\n");
}

}  // namespace
}  // namespace cbuild::cli
