// SPDX-License-Identifier: Apache-2.0
// The command line of a build: which flag reaches which field, as docker reads it, and how wrong flags are refused.
#include "cli/flags/options.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/flags/option_values.h"

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
  CHECK(line.context == ".");
  REQUIRE(line.request.outputs.list.size() == 1);
  CHECK(line.request.outputs.list[0].type == exporter::OutputType::image);
  CHECK_FALSE(line.request.outputs.list[0].push);
}

TEST_CASE("remote caches may be given several times and in the short form") {
  const BuildLine line = parse({"--cache-from", "r/x:main", "--cache-from", "type=local,src=d", "--cache-to",
                                "type=registry,ref=r/x:pr,mode=max", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "."});
  REQUIRE(line.request.caches.from.size() == 2);
  CHECK(line.request.caches.from[0].attribute("ref") == "r/x:main");
  CHECK(line.request.caches.from[1].attribute("src") == "d");
  REQUIRE(line.request.caches.to.size() == 2);
  CHECK(line.request.caches.to[0].all_steps);
  CHECK(line.request.caches.to[1].type == "inline");
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
                                "id=s,src=/dev/null",
                                "--secret",
                                "id=e,env=E",
                                "-j",
                                "3",
                                "--push",
                                "ctx"});
  const engine::BuildRequest& b = line.request;
  CHECK(line.context == "ctx");
  CHECK(line.file == "D");
  CHECK(b.inputs.targets == std::vector<std::string>{"T"});
  CHECK(b.inputs.build_args == std::map<std::string, std::string>{{"A", "b=c"}, {"CBUILD_TEST_ARG", "from env"}});
  CHECK(b.inputs.platforms == std::vector{*oci::parse_platform("linux/arm64")});
  CHECK(b.caches.ignored == std::vector<std::string>{"a", "b"});
  CHECK(b.steps.extra_hosts == std::vector<std::string>{"h=1.2.3.4", "v6=::1"});
  CHECK(b.steps.shm_size == 1024 * 1024);
  CHECK(b.steps.ulimits == std::vector<Ulimit>{{"nofile", 10, 20}});
  CHECK(b.steps.secrets[0].read().empty());
  CHECK(b.steps.secrets[1].id == "e");
  CHECK(b.steps.jobs == 3);
  REQUIRE(b.outputs.list.size() == 1);
  CHECK(b.outputs.list[0].push);
  CHECK(b.outputs.list[0].names == std::vector<std::string>{"r/x:1", "y"});
}

TEST_CASE("--pull works with and without a policy") {
  CHECK(parse({"."}).request.sources.pull == engine::PullPolicy::missing);
  CHECK(parse({".", "--pull"}).request.sources.pull == engine::PullPolicy::always);
  CHECK(parse({".", "--pull=never"}).request.sources.pull == engine::PullPolicy::never);
  CHECK(parse({".", "--pull=true"}).request.sources.pull == engine::PullPolicy::always);
  CHECK(parse({".", "--pull=always"}).request.sources.pull == engine::PullPolicy::always);
  CHECK(parse({".", "--pull=false"}).request.sources.pull == engine::PullPolicy::missing);
}

TEST_CASE("the last one of a repeated flag wins") {
  const BuildLine line = parse({"--progress", "plain", "--progress", "tty", "--iidfile", "a", "--iidfile", "b", "."});
  CHECK(line.progress == ProgressMode::tty);
  CHECK(line.iid_file == "b");
}

TEST_CASE("wrong flags are usage errors") {
  const std::vector<std::vector<std::string>> rows = {
      {".", "--bogus"},
      {".", "--progress", "loud"},
      {".", "--platform", "a/b/c/d/e"},
      {".", "--push"},
      {".", "--secret", "src=x"},
      {".", "--ulimit", "nofile"},
      {".", "--add-host", "nohost"},
      {".", "--network", "a/b"},
      {".", "--shm-size", "big"},
      {".", "--build-arg", "=x"},
      {".", "-o", "type=nope"},
      {".", "-t", "Bad Name"},
      {".", "-o", "type=oci,dest=x,name=Bad"},
      {".", "--isolation", "foo"},
      {".", "--ulimit", "foo=1"},
      {".", "--ulimit", "nofile=20:10"},
      {".", "--secret", "id=s,src=/nonexistent"},
      {".", "--secret", "id=s,src=/"},
      {".", "--secret", "id=s,type=vault"},
      {".", "--ssh", "k=/nonexistent"},
      {".", "--ssh", "k=/dev/null"},
      {".", "--dns", "1.1.1.1\n"},
      {".", "--dns", "1.1.1.1 8.8.8.8"},
      {".", "--add-host", "a b:1.1.1.1"},
      {".", "--add-host", "a\nb:1.1.1.1"},
      {".", "--provenance=mode=mid"},
      {".", "--provenance=true", "-o", "type=docker,dest=x"},
      {".", "--sbom=true", "-o", "type=oci,dest=x,oci-mediatypes=false"},
      {".", "--attest", "type=vex"},
      {".", "--attest", "disabled=true"},
      {".", "--memory", "much"},
      {".", "--push=maybe"},
      {".", "--tag"},
      {".", "-qx"},
      {""},
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

TEST_CASE("an empty value is a value and never takes the next word") {
  for (const char* flag :
       {"--target=",   "--file=", "-f=",           "--iidfile=",       "--metadata-file=", "--network=",
        "--output=",   "-o=",     "--cache-from=", "--cache-to=",      "--secret=",        "--ssh=",
        "--add-host=", "--dns=",  "--allow=",      "--annotation=",    "--build-context=", "--no-cache-filter=",
        "--resource=", "--call=", "--isolation=",  "--cgroup-parent=", "--authfile=",      "--provenance=",
        "--sbom=",     "--root="}) {
    CAPTURE(flag);
    const BuildLine line = parse({flag, "sub"});
    CHECK(line.context == "sub");
    BuildLine plain = parse({"sub"});
    CHECK(line.request.outputs.list == plain.request.outputs.list);
    CHECK(line.file.empty());
    CHECK(line.request.inputs.targets == plain.request.inputs.targets);
    CHECK(line.request.steps.secrets.empty());
    CHECK(line.request.steps.extra_hosts.empty());
    CHECK(line.request.steps.isolation.empty());
    CHECK_FALSE(line.call.has_value());
  }
  for (const char* flag : {"--tag=", "-t=", "--platform=", "--label=", "--build-arg=", "--progress=", "--ulimit=",
                           "--shm-size=", "--pull=", "--jobs=", "-j=", "--push=", "--step-retry=", "--step-timeout=",
                           "--arg-keys=", "--attest=", "--memory=", "--cdi-dir=", "--insecure-registry="}) {
    CAPTURE(flag);
    CHECK_THROWS_AS(parse({flag, "sub"}), Error);
  }
  CHECK(parse({"--target", "", "sub"}).context == "sub");
  CHECK_THROWS_AS(parse({"-t", "", "sub"}), Error);
}

TEST_CASE("words are taken as docker takes them") {
  CHECK(parse({"-tfoo", "."}).request.outputs.list[0].names == std::vector<std::string>{"foo"});
  CHECK(parse({"-t=foo", "."}).request.outputs.list[0].names == std::vector<std::string>{"foo"});
  CHECK(parse({"--build-arg", "--x=1", "."}).request.inputs.build_args.at("--x") == "1");
  CHECK(parse({"--", "-dir"}).context == "-dir");
  CHECK(parse({"-", "-f", "x"}).context == "-");
  CHECK_FALSE(parse({"--no-cache=false", "."}).request.caches.none);
  CHECK(parse({"--no-cache=T", "."}).request.caches.none);
  CHECK(parse({"-qD", "."}).request.tell_isolation);
  CHECK(parse({"--pull", "."}).context == ".");
  CHECK(parse({"--pull=false", "."}).request.sources.pull == engine::PullPolicy::missing);
}

TEST_CASE("the last of --call, --check and --print wins") {
  using Asked = CallOptions::Question;
  CHECK(parse({"--check", "--call=targets", "."}).call->question == Asked::targets);
  CHECK(parse({"--call=targets", "--check", "."}).call->question == Asked::check);
  CHECK(parse({"--print", "outline", "."}).call->question == Asked::outline);
  CHECK_FALSE(parse({"--check", "--call=build", "."}).call.has_value());
  CHECK(parse({"--call=targets", "--check=false", "."}).call->question == Asked::targets);
}

TEST_CASE("when the store is synced is said by the flag, else by the environment, else by the CI service") {
  const auto sync = [](std::vector<std::string> words) { return parse(std::move(words)).request.sync; };
  using engine::Sync;
  for (const char* name : {"CBUILD_SYNC", "CI_DISPOSABLE_ENVIRONMENT", "RUNNER_ENVIRONMENT"}) unsetenv(name);
  CHECK(sync({"."}) == Sync::end);
  CHECK(sync({"--sync", "later", "."}) == Sync::later);
  CHECK(sync({"--sync=none", "."}) == Sync::none);
  CHECK_THROWS_AS(parse({"--sync=never", "."}), Error);
  setenv("RUNNER_ENVIRONMENT", "self-hosted", 1);
  setenv("CI_DISPOSABLE_ENVIRONMENT", "false", 1);
  CHECK(sync({"."}) == Sync::end);
  setenv("CI_DISPOSABLE_ENVIRONMENT", "true", 1);
  CHECK(sync({"."}) == Sync::none);
  CHECK(parse({"."}).notes.empty());
  REQUIRE(parse({"-D", "."}).notes.size() == 1);
  CHECK(parse({"-D", "."}).notes[0].find("CI_DISPOSABLE_ENVIRONMENT") != std::string::npos);
  CHECK(sync({"--sync=end", "."}) == Sync::end);
  unsetenv("CI_DISPOSABLE_ENVIRONMENT");
  setenv("RUNNER_ENVIRONMENT", "github-hosted", 1);
  CHECK(sync({"."}) == Sync::none);
  setenv("CBUILD_SYNC", "later", 1);
  CHECK(sync({"."}) == Sync::later);
  CHECK(sync({"--sync=none", "."}) == Sync::none);
  setenv("CBUILD_SYNC", "now", 1);
  CHECK_THROWS_AS(parse({"."}), Error);
  for (const char* name : {"CBUILD_SYNC", "RUNNER_ENVIRONMENT"}) unsetenv(name);
}

TEST_CASE("the network of steps is said by the flag, else by the environment") {
  const auto network = [](std::vector<std::string> words) { return parse(std::move(words)).request.steps.network; };
  unsetenv("CBUILD_NETWORK");
  CHECK(network({"."}) == "");
  CHECK(network({"--network=sandbox", "."}) == "sandbox");
  setenv("CBUILD_NETWORK", "sandbox", 1);
  CHECK(network({"."}) == "sandbox");
  CHECK(network({"--network=default", "."}) == "sandbox");
  CHECK(network({"--network=host", "."}) == "host");
  setenv("CBUILD_NETWORK", "a/b", 1);
  CHECK_THROWS_AS(parse({"."}), Error);
  unsetenv("CBUILD_NETWORK");
}

TEST_CASE("a secret of type env takes the variable from src") {
  const SecretOption secret = parse_secret("id=a,type=env,src=CBUILD_TEST_VARIABLE");
  CHECK(secret.env == "CBUILD_TEST_VARIABLE");
  CHECK(secret.file.empty());
  CHECK(parse_secret("type=env,id=b,env=OTHER").env == "OTHER");
}

TEST_CASE("docker's historic flags are taken") {
  const BuildLine line = parse({"--rm",
                                "--force-rm=true",
                                "--compress",
                                "--squash",
                                "--builder",
                                "x",
                                "-m",
                                "1g",
                                "--memory-swap",
                                "-1",
                                "-c",
                                "512",
                                "--cpu-quota=50000",
                                "--cpu-period=100000",
                                "--cpuset-cpus",
                                "0,1",
                                "--provenance=false",
                                "--sbom=0",
                                "--attest",
                                "type=sbom,disabled=true",
                                "--isolation",
                                "default",
                                "."});
  CHECK(line.request.steps.resources.memory_bytes == std::int64_t{1} << 30);
  CHECK(line.request.steps.resources.memory_swap_bytes == -1);
  CHECK(line.request.steps.resources.cpu_shares == 512);
  CHECK(line.request.steps.resources.cpu_quota_us == 50'000);
  CHECK(line.request.steps.resources.cpuset_cpus == "0,1");
  REQUIRE(line.notes.size() == 5);
  CHECK(line.notes[0].starts_with("--builder has no effect"));
  CHECK(line.notes[1].starts_with("--compress has no effect"));
  CHECK(parse({"--rm=false", "."}).notes.empty());
  CHECK(parse({"--memory", "1g", "--resource", "memory=2g", "."}).request.steps.resources.memory_bytes ==
        std::int64_t{2} << 30);
}

TEST_CASE("caches may be bare references, several in one value") {
  const BuildLine line = parse({"--cache-to", "r/x:c", "--cache-from", "r/a,r/b", "."});
  REQUIRE(line.request.caches.to.size() == 1);
  CHECK(line.request.caches.to[0].attribute("ref") == "r/x:c");
  CHECK(line.request.caches.to[0].type == "registry");
  REQUIRE(line.request.caches.from.size() == 2);
  CHECK(line.request.caches.from[1].attribute("ref") == "r/b");
}

TEST_CASE("platforms are in the order given, each once however it is spelt") {
  const auto platforms = [](const std::vector<std::string>& words) {
    std::vector<std::string> out;
    for (const oci::Platform& platform : parse(words).request.inputs.platforms) out.push_back(platform.str());
    return join(out, " ");
  };
  CHECK(platforms({"--platform", "linux/amd64,amd64", "--platform", "linux/x86_64", "."}) == "linux/amd64");
  CHECK(platforms({"--platform", "linux/arm64,linux/amd64", "--platform", "aarch64, linux/arm/v7", "."}) ==
        "linux/arm64 linux/amd64 linux/arm/v7");
  CHECK(platforms({"--platform", "local", "."}) == oci::host_platform().str());
  CHECK(platforms({"."}).empty());
}

TEST_CASE("annotations are checked against the platforms and whether there is an index") {
  CHECK_NOTHROW(
      parse({"--platform", "linux/amd64,linux/arm64", "--annotation", "index,manifest[linux/arm64]:a=b", "."}));
  CHECK_NOTHROW(parse({"--build-arg", "BUILDKIT_MULTI_PLATFORM=1", "--annotation", "index:a=b", "."}));
  CHECK_THROWS_AS(parse({"--platform", "linux/amd64", "--annotation", "index:a=b", "."}), Error);
  CHECK_THROWS_AS(parse({"--platform", "linux/amd64,linux/arm64", "--annotation", "manifest[linux/arm/v7]:a=b", "."}),
                  Error);
}

TEST_CASE("an unknown flag or command names the one that is near") {
  const auto refusal = [](const std::vector<std::string>& words) -> std::string {
    try {
      parse_build_line(words);
    } catch (const Error& error) {
      return error.hint();
    }
    return "accepted";
  };
  CHECK(refusal({"--taget", "x", "."}) == "did you mean --target?");
  CHECK(refusal({"--isolation", "roto", "."}) == "did you mean root?");
  CHECK(refusal({"--secret", "ids=x", "."}) == "did you mean id?");
  CHECK(refusal({"--ulimit", "nofiles=1", "."}) == "did you mean nofile?");
}

TEST_CASE("the environment stands for flags that are not given") {
  setenv("SOURCE_DATE_EPOCH", "1000", 1);
  setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64", 1);
  setenv("BUILDKIT_PROGRESS", "plain", 1);
  const BuildLine plain = parse({"."});
  CHECK(plain.request.inputs.build_args.at("SOURCE_DATE_EPOCH") == "1000");
  CHECK(plain.request.inputs.platforms == std::vector{*oci::parse_platform("linux/arm64")});
  CHECK(plain.progress == ProgressMode::plain);
  const BuildLine given =
      parse({"--build-arg", "SOURCE_DATE_EPOCH=5", "--platform", "linux/amd64", "--progress", "tty", "."});
  CHECK(given.request.inputs.build_args.at("SOURCE_DATE_EPOCH") == "5");
  CHECK(given.request.inputs.platforms == std::vector{*oci::parse_platform("linux/amd64")});
  CHECK(given.progress == ProgressMode::tty);
  setenv("SOURCE_DATE_EPOCH", "", 1);
  CHECK_FALSE(parse({"."}).request.inputs.build_args.contains("SOURCE_DATE_EPOCH"));
  CHECK(parse({"."}).request.sources.policy == nullptr);
  setenv("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", "/nonexistent", 1);
  CHECK_THROWS_AS(parse({"."}), Error);
  for (const char* name :
       {"SOURCE_DATE_EPOCH", "DOCKER_DEFAULT_PLATFORM", "BUILDKIT_PROGRESS", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"})
    unsetenv(name);
}

TEST_CASE("the proxies of docker's configuration are build arguments") {
  const TempDir dir = TempDir::in_tmp("docker-config-");
  sys::write_file_at(
      dir.fd(), "config.json",
      R"({"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "n"}, "tcp://h": {"ftpProxy": "f"}}})");
  setenv("DOCKER_CONFIG", dir.path().c_str(), 1);
  using Map = std::map<std::string, std::string>;
  CHECK(parse({"."}).request.inputs.build_args ==
        Map{{"HTTP_PROXY", "http://p:1"}, {"http_proxy", "http://p:1"}, {"NO_PROXY", "n"}, {"no_proxy", "n"}});
  CHECK(parse({"--build-arg", "http_proxy=mine", "."}).request.inputs.build_args ==
        Map{{"http_proxy", "mine"}, {"NO_PROXY", "n"}, {"no_proxy", "n"}});
  setenv("DOCKER_HOST", "tcp://h", 1);
  CHECK(parse({"."}).request.inputs.build_args == Map{{"FTP_PROXY", "f"}, {"ftp_proxy", "f"}});
  unsetenv("DOCKER_HOST");
  sys::write_file_at(dir.fd(), "config.json", R"({"proxies": )");
  CHECK(parse({"."}).notes.size() == 1);
  unsetenv("DOCKER_CONFIG");
}

TEST_CASE("wrong values are named with their flag") {
  CHECK_THROWS_WITH_AS(parse({"--jobs", "x", "."}), "--jobs: 'x' is not a number in its range", Error);
  CHECK_THROWS_WITH_AS(parse({"--jobs", "-1", "."}), "--jobs: '-1' is not a number in its range", Error);
  CHECK_THROWS_WITH_AS(parse({"--build-context", "a", "."}), "--build-context: 'a' is not NAME=PLACE", Error);
  CHECK_THROWS_WITH_AS(parse({"a", "b"}), "unexpected argument 'b' after 'a'", Error);
}

TEST_CASE("flags and variables of attestations") {
  const auto settings = [](std::vector<std::string> words) {
    words.emplace_back(".");
    return parse(std::move(words)).request.outputs.attestations;
  };
  REQUIRE(settings({}).provenance);
  CHECK(settings({}).provenance->inline_only);
  CHECK_FALSE(settings({}).sbom);
  CHECK(settings({"--provenance=true", "--sbom=true"}).provenance->max);
  CHECK(settings({"--sbom=true"}).sbom);
  CHECK_FALSE(settings({"--provenance", "false"}).provenance);
  CHECK_FALSE(settings({"--attest", "type=provenance,mode=min", "--provenance=mode=max"}).provenance->max);
  CHECK(settings({"--build-arg", "BUILDKIT_ATTEST_SBOM="}).sbom);
  ::setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "1", 1);
  CHECK_FALSE(settings({}).provenance);
  CHECK(settings({"--provenance=mode=min"}).provenance);
  ::unsetenv("BUILDX_NO_DEFAULT_ATTESTATIONS");
  CHECK_FALSE(parse({"."}).request.outputs.tell_provenance);
  CHECK(parse({"--metadata-file=m", "."}).request.outputs.tell_provenance);
}

}  // namespace cbuild::cli
