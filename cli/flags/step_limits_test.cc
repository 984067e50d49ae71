// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/step_limits.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

sandbox::Resources resources(const std::string& text) {
  sandbox::Resources out;
  add_resources(text, out);
  return out;
}

}  // namespace

TEST_CASE("--resource takes several limits at once") {
  const sandbox::Resources out = resources(
      "memory=1g,memory-swap=-1,cpu-shares=512,cpu-period=50000,cpu-quota=25000,\"cpuset-cpus=0,2-3\",cpuset-mems=0");
  CHECK(out == sandbox::Resources{1 << 30, -1, 512, 50'000, 25'000, "0,2-3", "0"});
}

TEST_CASE("wrong resources are usage errors that name the mistake") {
  struct Row {
    const char* text;
    const char* message;
  };
  const Row rows[] = {{"memory", "--resource: 'memory' is not KEY=VALUE"},
                      {"memory=much", "--resource: memory 'much' is not a size"},
                      {"memroy=1g", "--resource: unknown key 'memroy'"},
                      {"cpu-quota=1", "--resource: cpu-quota '1' is not a number from 1000 to 1000000000000"},
                      {"cpuset-cpus=a", "--resource: cpuset-cpus 'a' is not a list such as 0-2,5"},
                      {"memory=2g,memory-swap=1g",
                       "--resource: memory-swap is memory and swap together, it cannot be less than memory"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK_THROWS_WITH_AS(resources(row.text), row.message, Error);
  }
  try {
    resources("memroy=1g");
  } catch (const Error& error) {
    CHECK(error.hint() == "did you mean memory?");
  }
}

TEST_CASE("step timeouts are Go durations") {
  CHECK(parse_step_timeout("1m30s") == 90'000'000'000);
  CHECK(parse_step_timeout("0") == 0);
  for (const char* wrong : {"", "5", "-1s", "1 m", "s"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_step_timeout(wrong), Error);
  }
}

TEST_CASE("extra hosts") {
  CHECK(parse_extra_host("h:1.2.3.4") == "h=1.2.3.4");
  CHECK(parse_extra_host("h=::1") == "h=::1");
  CHECK(parse_extra_host("h:[fe80::1]") == "h=fe80::1");
  CHECK(parse_extra_host("host.docker.internal:host-gateway") == "host.docker.internal=127.0.0.1");
  CHECK_THROWS_WITH_AS(parse_extra_host("nohost"), "--add-host: 'nohost' is not HOST:IP", Error);
  CHECK_THROWS_WITH_AS(parse_extra_host("h:1.2.3"), "--add-host: '1.2.3' is not an IP address", Error);
}

TEST_CASE("entitlements") {
  for (const char* fine :
       {"network.host", "security.insecure", "device", "device=vendor.com/gpu=0", "buildx.local.delete"})
    check_entitlement(fine);
  try {
    check_entitlement("security.insecur");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    CHECK(error.hint() == "did you mean security.insecure?");
  }
  CHECK_THROWS_AS(check_entitlement("device="), Error);
  CHECK_THROWS_WITH_AS(check_entitlement("buildx.local.delete=true"), "--allow: buildx.local.delete takes no value",
                       Error);
}

}  // namespace cbuild::cli
