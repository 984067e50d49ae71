// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/step_limits.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cli {
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
  CHECK(parse_extra_host("host.docker.internal:host-gateway") == "host.docker.internal=host-gateway");
  CHECK_THROWS_WITH_AS(parse_extra_host("nohost"), "--add-host: 'nohost' is not HOST:IP", Error);
  CHECK_THROWS_WITH_AS(parse_extra_host("h:1.2.3"), "--add-host: '1.2.3' is not an IP address", Error);
}

TEST_CASE("networks") {
  for (const char* fine : {"", "default", "host", "none", "sandbox", "my-net_1.2"}) check_network(fine);
  for (const char* wrong : {"../x", "a b", "-x", "container:y", ".hidden"})
    CHECK_THROWS_AS(check_network(wrong), Error);
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
