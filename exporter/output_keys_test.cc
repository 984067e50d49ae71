// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "base/error.h"
#include "exporter/outputs.h"

namespace cbuild::exporter {

TEST_CASE("an output is a path, a dash, or key=value pairs") {
  CHECK(parse_output("out", false).type == OutputType::local);
  CHECK(parse_output("out", false).dest == "out");
  CHECK(parse_output("-", false).type == OutputType::tar);
  const Output oci =
      parse_output("type=oci,dest=a.tar,target=app,name=x:1,compression=zstd,compression-level=3", false);
  CHECK(oci.type == OutputType::oci);
  CHECK(oci.dest == "a.tar");
  CHECK(oci.target == "app");
  CHECK(oci.names == std::vector<std::string>{"x:1"});
  CHECK(oci.image.compression == oci::layer::Compression::zstd);
  CHECK(oci.image.compression_level == 3);
  const Output many = parse_output(R"(type=image,"name=a,b",push=true)", false);
  CHECK(many.names == std::vector<std::string>{"a", "b"});
  CHECK(many.push);
  CHECK(parse_output("type=registry,name=r/x", false).push);
  CHECK(parse_output("type=docker", false).dest.empty());
}

TEST_CASE("keys of BuildKit's exporters") {
  const Output image = parse_output(
      "type=image,store=false,name-canonical=true,dangling-name-prefix=p,danging-name-empty-only=true,"
      "registry.insecure=true",
      false);
  CHECK_FALSE(image.keep);
  CHECK(image.name_canonical);
  CHECK(image.dangling_prefix == "p");
  CHECK(image.dangling_only);
  CHECK(image.insecure);
  CHECK(parse_output("type=docker,context=remote", false).engine_context == "remote");
  CHECK(parse_output("type=local,dest=d,platform-split=true", false).platform_split == true);
  CHECK(parse_output("type=local,dest=d,platform-split=false", false).platform_split == false);
  CHECK_FALSE(parse_output("type=local,dest=d", false).platform_split);
  CHECK(parse_output("type=local,dest=d,mode= Delete ", false).delete_extra);
  CHECK_FALSE(parse_output("type=local,dest=d,mode=", false).delete_extra);
  const Output attested =
      parse_output("type=oci,dest=x,oci-artifact=F,attestation-inline=,attestation-form=referrers", false);
  CHECK(attested.attestation_inline);
  CHECK(attested.referrers);
  CHECK(attested.oci_artifact == false);
  CHECK_FALSE(parse_output("type=oci,dest=x", false).oci_artifact.has_value());
  CHECK(parse_output("type=local,dest=x,attestation-prefix=p.", false).attestation_prefix == "p.");
  CHECK(parse_output("type=image,unpack=true,prefer-image-digest=1,buildinfo=true,buildinfo-attrs=x", false) ==
        parse_output("type=image", false));
  CHECK(parse_output("type=image,prefer-nondist-layers=1", false).image.prefer_foreign);
  CHECK(parse_output("type=oci,dest=x,compression=estargz", false).image.compression ==
        oci::layer::Compression::estargz);
  CHECK_FALSE(parse_output("type=local,dest=x,push=true", false).push);  // a line that is shared with other outputs
  CHECK(makes_archive(parse_output("type=oci,dest=x", false)));
  CHECK_FALSE(makes_archive(parse_output("type=image", false)));
}

TEST_CASE("wrong outputs are refused with the reason") {
  struct Row {
    const char* text;
    bool terminal;
    const char* message;
  };
  const Row rows[] = {
      {"type=ocii,dest=x", false, "--output: unknown type 'ocii'"},
      {"type=oci,dst=x", false, "--output: unknown key 'dst'"},
      {"dest=x,name=y", false, "--output: type is required"},
      {"type=local", false, "--output: type=local needs dest=DIRECTORY"},
      {"type=oci", true, "--output: refusing to write an archive to a terminal"},
      {"type=oci,tar=false", false, "--output: tar=false needs dest=DIRECTORY"},
      {"type=image,attestation-form=x", false, "--output: attestation-form 'x' is not index or referrers"},
      {"type=local,dest=x,attestation-prefix=../", false, "--output: attestation-prefix '../' has a '/'"},
      {"type=image,unpack=maybe", false, "--output: unpack takes true or false, not 'maybe'"},
      {"type=image,name-cannonical=true", false, "--output: unknown key 'name-cannonical'"},
      {"type=local,dest=x,mode=mirror", false, "--output: mode 'mirror' is not copy or delete"},
      {"type=oci,tar=maybe", false, "--output: tar takes true or false, not 'maybe'"},
      {"type=oci,source-date-epoch=now", false, "--output: source-date-epoch 'now' is not a number of seconds"},
      {"type=oci,push=tRUE", false, "--output: push takes true or false, not 'tRUE'"},
      {"type=oci,compression=estargz,oci-mediatypes=false", false,
       "--output: compression=estargz needs OCI media types"},
      {"type=oci,oci-artifact=true,oci-mediatypes=false", false, "--output: oci-artifact=true needs OCI media types"},
      {"type=oci,compression=lz4", false, "--output: unknown compression 'lz4'"},
      {"", false, "--output: empty value"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK_THROWS_WITH_AS(parse_output(row.text, row.terminal), row.message, Error);
  }
}

TEST_CASE("times of an output") {
  const auto times = [](const char* text, std::optional<std::int64_t> epoch) {
    ImageResult result;
    apply_epoch(parse_output(text, false), epoch, result);
    return std::pair(result.source_date_epoch, result.file_epoch);
  };
  using Epoch = std::optional<std::int64_t>;
  CHECK(parse_output("type=oci,rewrite-timestamp=true", false).image.rewrite_timestamp);
  CHECK(times("type=oci", 7) == std::pair(Epoch(7), Epoch(7)));
  CHECK(times("type=oci,source-date-epoch=", 7) == std::pair(Epoch(7), Epoch()));
  CHECK(times("type=oci,source-date-epoch=5", 7) == std::pair(Epoch(5), Epoch(5)));
  CHECK(times("type=oci,source-date-epoch=9", 7) == std::pair(Epoch(7), Epoch(9)));
  CHECK(times("type=oci,source-date-epoch=9", std::nullopt) == std::pair(Epoch(9), Epoch(9)));
}

}  // namespace cbuild::exporter
