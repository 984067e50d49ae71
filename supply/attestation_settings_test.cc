// SPDX-License-Identifier: Apache-2.0
#include "supply/attestation_settings.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::supply {
namespace {

AttestationSettings parsed(const std::vector<std::string>& values,
                           const std::map<std::string, std::string>& arguments = {}, bool no_defaults = true) {
  return parse_attestations(values, arguments, no_defaults);
}

std::string refusal(const std::vector<std::string>& values, const std::map<std::string, std::string>& arguments = {}) {
  try {
    parsed(values, arguments);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.message();
  }
  return "taken";
}

}  // namespace

TEST_CASE("--provenance and --sbom are short for --attest") {
  CHECK(as_attest("sbom", "") == "");
  CHECK(as_attest("sbom", "1") == "type=sbom,disabled=false");
  CHECK(as_attest("provenance", "false") == "type=provenance,disabled=true");
  CHECK(as_attest("provenance", "mode=max,version=v0.2") == "type=provenance,mode=max,version=v0.2");
}

TEST_CASE("a provenance that is asked for is of mode max, one by default of mode min") {
  CHECK(parsed({}) == AttestationSettings{});
  const auto by_default = parsed({}, {}, false);
  REQUIRE(by_default.provenance);
  CHECK_FALSE(by_default.provenance->max);
  CHECK(by_default.provenance->inline_only);
  CHECK_FALSE(by_default.sbom);
  const auto asked = parsed({"type=provenance,disabled=false"}, {}, false);
  REQUIRE(asked.provenance);
  CHECK(*asked.provenance == ProvenanceSettings{});
  CHECK(asked.provenance->max);
  CHECK_FALSE(parsed({"type=provenance,disabled=true"}, {}, false).provenance);
}

TEST_CASE("the keys of a provenance") {
  const auto out = parsed(
      {"type=provenance,mode=min,version=v0.2,builder-id=https://b,reproducible=1,inline-only=true,filename=p.json,"
       "complete-materials=true,unknown=x"});
  REQUIRE(out.provenance);
  CHECK(*out.provenance == ProvenanceSettings{false, SlsaVersion::v0_2, "https://b", true, true, true, "p.json"});
  CHECK(parsed({"type=provenance,mode=full"}).provenance->max);
}

TEST_CASE("the keys of an SBOM are parameters of its scanner") {
  const auto out = parsed({"\"type=sbom\",generator=a/b:1,X=y"});
  REQUIRE(out.sbom);
  CHECK(*out.sbom == SbomSettings{"a/b:1", {{"X", "y"}}});
}

TEST_CASE("of two of one type the first counts, and build arguments come last") {
  CHECK(parsed({"type=provenance,mode=min", "type=provenance,disabled=true"}).provenance);
  CHECK_FALSE(parsed({"type=sbom,disabled=true"}, {{"BUILDKIT_ATTEST_SBOM", ""}}).sbom);
  const auto out = parsed({}, {{"BUILDKIT_ATTEST_sbom", "generator=g"}, {"BUILDKIT_ATTEST_PROVENANCE", "mode=min"}});
  CHECK(out.sbom->generator == "g");
  CHECK_FALSE(out.provenance->max);
}

TEST_CASE("wrong values are refused") {
  CHECK(refusal({""}) == "--attest: type is required");
  CHECK(refusal({"disabled=true"}) == "--attest: type is required");
  CHECK(refusal({"type=sbom,x"}) == "--attest: 'x' is not key=value");
  CHECK(refusal({"type=sbomm"}) == "--attest: unknown type 'sbomm'");
  CHECK(refusal({"type=sbom,disabled=x"}) == "--attest: disabled takes true or false, not 'x'");
  CHECK(refusal({"type=provenance,mode=mid"}) == "--attest: mode 'mid' is not min or max");
  CHECK(refusal({"type=provenance,version=v2"}) == "--attest: version 'v2' is not v1 or v0.2");
  CHECK(refusal({"type=provenance,reproducible=x"}) == "--attest: reproducible takes true or false, not 'x'");
  CHECK(refusal({"type=provenance,filename=../x"}) == "--attest: filename '../x' is not the name of a file");
  CHECK(refusal({}, {{"BUILDKIT_ATTEST_X", ""}}) == "--attest: unknown attestation type 'x'");
}

}  // namespace cbuild::supply
