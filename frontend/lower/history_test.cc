// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/history.h"

#include <doctest/doctest.h>

namespace cbuild::frontend {
namespace {

using Texts = std::vector<std::string>;

TEST_CASE("an entry carries the frontend's comment") {
  oci::ImageConfig image;
  add_history(image, "ENV A=1", Layer::none, std::nullopt);
  add_history(image, "RUN true # buildkit", Layer::own, 1700000501);
  REQUIRE(image.history.size() == 2);
  CHECK(image.history[0] == oci::HistoryEntry{"", "ENV A=1", "", "buildkit.dockerfile.v0", true});
  CHECK(image.history[1] ==
        oci::HistoryEntry{"2023-11-14T22:21:41Z", "RUN true # buildkit", "", "buildkit.dockerfile.v0", false});
}

TEST_CASE("lists look as Go prints them") {
  CHECK(list_text(Texts{}) == "[]");
  CHECK(list_text(Texts{"a b", "c"}) == "[a b c]");
  CHECK(quoted_list_text(Texts{}) == "[]");
  CHECK(quoted_list_text(Texts{"sh", "-c", "echo \"x\"\n"}) == R"(["sh" "-c" "echo \"x\"\n"])");
}

TEST_CASE("a command shows the declared arguments with their current values") {
  StageScope scope;
  CHECK(run_created_by(Texts{"/bin/sh", "-c", "make"}, scope) == "RUN /bin/sh -c make # buildkit");
  scope.declared = {{"A", "1"}, {"B", std::nullopt}, {"A", "2"}, {"C", "c"}};
  scope.variables.set("A", "from env");
  CHECK(run_created_by(Texts{"/bin/sh", "-c", "make"}, scope) == "RUN |3 A=from env B= C=c /bin/sh -c make # buildkit");
}

TEST_CASE("a health check is printed as the Go structure") {
  oci::Healthcheck check;
  check.test = {"CMD-SHELL", "curl -f localhost"};
  check.interval_ns = 300'000'000'000;
  check.timeout_ns = 3'000'000'000;
  check.start_interval_ns = 100'000'000;
  check.retries = 5;
  CHECK(healthcheck_created_by(check) ==
        "HEALTHCHECK {Test:[CMD-SHELL curl -f localhost] Interval:5m0s Timeout:3s StartPeriod:0s StartInterval:100ms "
        "Retries:5}");
  CHECK(healthcheck_created_by({.test = {"NONE"}}) ==
        "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}");
}

}  // namespace
}  // namespace cbuild::frontend
