// SPDX-License-Identifier: Apache-2.0
#include "engine/request/request.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::engine {
namespace {

InputSettings inputs_of(std::size_t platforms, const char* multi) {
  InputSettings inputs;
  const char* const names[] = {"linux/arm64", "linux/amd64"};
  for (std::size_t i = 0; i < platforms; ++i) inputs.platforms.push_back(*oci::parse_platform(names[i]));
  if (multi != nullptr) inputs.build_args["BUILDKIT_MULTI_PLATFORM"] = multi;
  return inputs;
}

}  // namespace

TEST_CASE("a result is an index for several platforms, or if it is asked for") {
  CHECK_FALSE(is_multi_platform(inputs_of(0, nullptr)));
  CHECK_FALSE(is_multi_platform(inputs_of(1, nullptr)));
  CHECK(is_multi_platform(inputs_of(2, nullptr)));
  CHECK(is_multi_platform(inputs_of(0, "true")));
  CHECK(is_multi_platform(inputs_of(1, "1")));
  CHECK(is_multi_platform(inputs_of(2, "1")));
  CHECK(is_multi_platform(inputs_of(2, "")));
  CHECK_FALSE(is_multi_platform(inputs_of(1, "")));
  CHECK_FALSE(is_multi_platform(inputs_of(1, "0")));
  CHECK_THROWS_WITH_AS(is_multi_platform(inputs_of(2, "false")),
                       "BUILDKIT_MULTI_PLATFORM=false does not go with several platforms", Error);
  CHECK_THROWS_WITH_AS(is_multi_platform(inputs_of(1, "some")), "BUILDKIT_MULTI_PLATFORM is true or false, not 'some'",
                       Error);
}

TEST_CASE("without a platform the result is of this machine's") {
  CHECK(wanted_platforms(inputs_of(0, nullptr)) == std::vector{oci::host_platform()});
  CHECK(wanted_platforms(inputs_of(2, nullptr)).front().str() == "linux/arm64");
}

}  // namespace cbuild::engine
