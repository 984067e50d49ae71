// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/enter_options.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::cli {
namespace {

EnterLine run_line(Arguments words) {
  auto line = parse_run_line(std::move(words));
  REQUIRE(line);
  return *line;
}

}  // namespace

TEST_CASE("words behind the image belong to the command") {
  const EnterLine line = run_line({"-w", "/src", "--env=A=b c", "app:1", "-u", "root", "--", "-e"});
  CHECK(line.subject == "app:1");
  CHECK(line.command == Arguments{"-u", "root", "--", "-e"});
  CHECK(line.entered.working_dir == "/src");
  CHECK(line.entered.environment == std::vector<std::string>{"A=b c"});
  CHECK_FALSE(line.entered.user);
  CHECK_FALSE(line.entrypoint);
}

TEST_CASE("an empty entrypoint is given, too") {
  CHECK(run_line({"--entrypoint=", "app:1"}).entrypoint == "");
  CHECK(run_line({"--entrypoint", "sh", "app:1", "-c", "x"}).entrypoint == "sh");
}

TEST_CASE("mounts are read-only unless asked for otherwise") {
  CHECK(parse_volume("/tmp:/t") == engine::HostMount{"/tmp", "/t", true});
  CHECK(parse_volume("/tmp:/t:rw") == engine::HostMount{"/tmp", "/t", false});
  CHECK(parse_bind_mount("type=bind,src=/tmp,dst=/t") == engine::HostMount{"/tmp", "/t", true});
  CHECK(parse_bind_mount("type=bind,source=/tmp,target=/t,readonly=false").read_only == false);
  CHECK(parse_bind_mount("source=/tmp,target=/t,readwrite").read_only == false);
  CHECK(parse_bind_mount("source=/tmp,target=/t,ro").read_only);
}

TEST_CASE("entries that are refused") {
  for (const char* text : {"/tmp", "/tmp:t", ":/t", "/tmp:/t:x", "/does-not-exist:/t", "/tmp:/t:ro:rw"})
    CHECK_THROWS_AS((void)parse_volume(text), Error);
  for (const char* text : {"type=tmpfs,target=/t", "source=/tmp", "source=/tmp,target=/t,ro=x", "src=/tmp,dst=/t,z=1"})
    CHECK_THROWS_AS((void)parse_bind_mount(text), Error);
  CHECK_THROWS_AS((void)parse_run_line({}), Error);
  CHECK_THROWS_AS((void)parse_run_line({"--network", "x", "app:1"}), Error);
  CHECK_THROWS_AS((void)parse_run_line({"-e", "=x", "app:1"}), Error);
}

TEST_CASE("the step is optional") {
  const auto line = parse_debug_line({"--before"});
  REQUIRE(line);
  CHECK(line->before);
  CHECK(line->subject.empty());
}

}  // namespace cbuild::cli
