// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "base/error.h"

namespace cbuild::cli {
namespace {

BuildLine parse(std::vector<std::string> arguments) {
  auto line = parse_build_line(std::move(arguments));
  REQUIRE(line.has_value());
  return *line;
}

}  // namespace

TEST_CASE("a plain call builds the current directory into the store") {
  const BuildLine line = parse({"."});
  CHECK(line.build.context == ".");
  REQUIRE(line.build.outputs.size() == 1);
  CHECK(line.build.outputs[0].type == exporter::OutputType::image);
  CHECK_FALSE(line.build.outputs[0].push);
}

TEST_CASE("remote caches may be given several times and in the short form") {
  const BuildLine line = parse({"--cache-from", "r/x:main", "--cache-from", "type=local,src=d", "--cache-to",
                                "type=registry,ref=r/x:pr,mode=max", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "."});
  REQUIRE(line.build.cache_from.size() == 2);
  CHECK(line.build.cache_from[0].ref == "r/x:main");
  CHECK(line.build.cache_from[1].directory == "d");
  REQUIRE(line.build.cache_to.size() == 2);
  CHECK(line.build.cache_to[0].all_steps);
  CHECK(line.build.cache_to[1].type == exporter::CacheType::in_image);
}

TEST_CASE("flags reach their fields") {
  setenv("CBUILD_TEST_ARG", "from env", 1);
  unsetenv("CBUILD_TEST_NONE");
  const BuildLine line = parse({"-f",
                                "D",
                                "-t",
                                "r/x:1",
                                "-t",
                                "y",
                                "--target",
                                "T",
                                "--build-arg",
                                "A=b=c",
                                "--build-arg",
                                "CBUILD_TEST_ARG",
                                "--build-arg",
                                "CBUILD_TEST_NONE",
                                "--label",
                                "l=v",
                                "--platform",
                                "linux/arm64",
                                "--no-cache-filter",
                                "a,b",
                                "--add-host",
                                "h:1.2.3.4",
                                "--add-host",
                                "v6=[::1]",
                                "--shm-size",
                                "1m",
                                "--ulimit",
                                "nofile=10:20",
                                "--secret",
                                "id=s,src=f",
                                "--secret",
                                "id=e,env=E",
                                "-j",
                                "3",
                                "--push",
                                "ctx"});
  const BuildOptions& b = line.build;
  CHECK(b.context == "ctx");
  CHECK(b.file == "D");
  CHECK(b.targets == std::vector<std::string>{"T"});
  CHECK(b.build_args == std::map<std::string, std::string>{{"A", "b=c"}, {"CBUILD_TEST_ARG", "from env"}});
  CHECK(b.platform->str() == "linux/arm64");
  CHECK(b.no_cache_filter == std::vector<std::string>{"a", "b"});
  CHECK(b.extra_hosts == std::vector<std::string>{"h=1.2.3.4", "v6=::1"});
  CHECK(b.shm_size == 1024 * 1024);
  CHECK(b.ulimits == std::vector<solver::Ulimit>{{"nofile", 10, 20}});
  CHECK(b.secrets[0].file == "f");
  CHECK(b.secrets[1].env == "E");
  CHECK(b.jobs == 3);
  REQUIRE(b.outputs.size() == 1);
  CHECK(b.outputs[0].push);
  CHECK(b.outputs[0].names == std::vector<std::string>{"r/x:1", "y"});
}

TEST_CASE("--pull works with and without a policy") {
  CHECK(parse({"."}).build.pull == PullPolicy::missing);
  CHECK(parse({".", "--pull"}).build.pull == PullPolicy::always);
  CHECK(parse({".", "--pull=never"}).build.pull == PullPolicy::never);
}

TEST_CASE("the last one of a repeated flag wins") {
  const BuildLine line = parse({"--progress", "plain", "--progress", "tty", "--iidfile", "a", "--iidfile", "b", "."});
  CHECK(line.build.progress == ProgressMode::tty);
  CHECK(line.build.iid_file == "b");
}

TEST_CASE("wrong flags are usage errors") {
  const std::vector<std::vector<std::string>> rows = {{".", "--bogus"},
                                                      {".", "--progress", "loud"},
                                                      {".", "--platform", "a/b/c/d/e"},
                                                      {".", "--push"},
                                                      {".", "--secret", "src=x"},
                                                      {".", "--ulimit", "nofile"},
                                                      {".", "--add-host", "nohost"},
                                                      {".", "--network", "bridge"},
                                                      {".", "--shm-size", "big"},
                                                      {".", "--build-arg", "=x"},
                                                      {".", "-o", "type=nope"},
                                                      {"a", "b"}};
  for (const auto& row : rows) {
    CAPTURE(row.back());
    try {
      parse(row);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::usage);
    }
  }
}

}  // namespace cbuild::cli
