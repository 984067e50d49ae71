// SPDX-License-Identifier: Apache-2.0
#include "cache/remote/cache_flag.h"

#include <doctest/doctest.h>

#include "base/digest.h"
#include "base/error.h"

namespace cbuild::cache {
namespace {

std::string refusal(CacheSpec (*parse)(std::string_view), std::string_view text) {
  try {
    parse(text);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.what();
  }
  return "accepted";
}

TEST_CASE("a bare reference is a registry cache to import from") {
  const CacheSpec spec = parse_cache_from("ghcr.io/team/app:cache");
  CHECK(spec.type == "registry");
  CHECK(spec.attribute("ref") == "ghcr.io/team/app:cache");
  CHECK(parse_cache_from("type=inline,ref=ghcr.io/team/app:1").type == "registry");
}

TEST_CASE("local sources are named by tag or digest") {
  const CacheSpec spec = parse_cache_from("type=local,src=/tmp/cache,tag=main,timeout=3");
  CHECK(spec.type == "local");
  CHECK(spec.attribute("src") == "/tmp/cache");
  CHECK(spec.attribute("tag") == "main");
  CHECK(spec.timeout == std::chrono::seconds(3));
  const Digest digest = sha256("x");
  CHECK(parse_cache_from("type=local,src=d,digest=" + digest.str()).attribute("digest") == digest.str());
}

TEST_CASE("destinations of a cache") {
  const CacheSpec spec = parse_cache_to(
      "type=registry,ref=r/x:c,mode=max,compression=zstd,compression-level=3,ignore-error=true,"
      "mounts=/root/.cache,apt,mounts-max=500m,keep=30d,image-manifest=true,oci-mediatypes=true");
  CHECK(spec.attribute("ref") == "r/x:c");
  CHECK(spec.all_steps);
  CHECK(spec.compression == oci::layer::Compression::zstd);
  CHECK(spec.compression_level == 3);
  CHECK(spec.ignore_error);
  CHECK(spec.mounts == std::vector<std::string>{"/root/.cache", "apt"});
  CHECK(spec.mount_bytes == 500u << 20);
  CHECK(spec.keep_days == 30);
  CHECK_FALSE(parse_cache_to("type=local,dest=d").all_steps);
  CHECK(parse_cache_to("type=inline").type == "inline");
}

TEST_CASE("keys that BuildKit takes are taken") {
  CHECK(parse_cache_to("r/x:c").attribute("ref") == "r/x:c");
  CHECK(parse_cache_to("type=registry,ref=r.test/x,registry.insecure=true").insecure_registry == "r.test");
  CHECK(parse_cache_from("type=inline,ref=r.test/x,registry.insecure=true").insecure_registry == "r.test");
  CHECK(parse_cache_from("type=registry,ref=r/x,registry.insecure=false") == parse_cache_from("r/x"));
  CHECK(parse_cache_to("type=local,dest=d,force-compression=true") == parse_cache_to("type=local,dest=d"));
  for (const char* same : {"type=registry,ref=r/x,image-manifest=false,oci-mediatypes=false", "type=registry,ref=r/x"})
    CHECK(parse_cache_to(same) == parse_cache_to("r/x"));
  CHECK(parse_cache_to("type=local,dest=d,reset=true") == parse_cache_to("type=local,dest=d"));
  CHECK(parse_cache_from("type=registry,ref=r/x,mode=max,compression=zstd,ignore-error=true") ==
        parse_cache_from("r/x"));
}

TEST_CASE("mistakes in a cache flag are named") {
  CHECK(refusal(parse_cache_to, "ref=x") == "--cache-to: type is required");
  CHECK(refusal(parse_cache_to, "type=gha") == "--cache-to: unknown type 'gha'");
  CHECK(refusal(parse_cache_to, "type=registry") == "--cache-to: type=registry needs ref=");
  CHECK(refusal(parse_cache_to, "type=local,src=x") == "--cache-to: unknown key 'src'");
  CHECK(refusal(parse_cache_to, "type=registry,ref=x,mode=all") == "--cache-to: unknown mode 'all'");
  CHECK(refusal(parse_cache_to, "type=inline,mode=max") == "--cache-to: type=inline holds the image's own layers only");
  CHECK(refusal(parse_cache_to, "type=inline,mounts=x") == "--cache-to: type=inline cannot hold cache mounts");
  CHECK(refusal(parse_cache_to, "type=local,dest=x,compression=estargz") ==
        "--cache-to: compression estargz is not supported");
  CHECK(refusal(parse_cache_to, "type=local,dest=x,compression=lzma") == "--cache-to: unknown compression 'lzma'");
  CHECK(refusal(parse_cache_to, "type=local,dest=x,mounts=a,mounts-max=much") ==
        "--cache-to: mounts-max 'much' is not a size");
  CHECK(refusal(parse_cache_to, "type=local,dest=x,keep=ever") ==
        "--cache-to: keep 'ever' is not a number from 0 to 3650");
  CHECK(refusal(parse_cache_to, "type=registry,ref=x,image-manifest=perhaps") ==
        "--cache-to: image-manifest takes true or false, not 'perhaps'");
  CHECK(refusal(parse_cache_to, "") == "--cache-to: type=registry needs ref=");
  CHECK(refusal(parse_cache_to, "type=registry,\"ref=x") == "--cache-to: unbalanced quote in 'type=registry,\"ref=x'");
  CHECK(refusal(parse_cache_from, "") == "--cache-from: a reference is missing");
  CHECK(refusal(parse_cache_from, "type=local") == "--cache-from: type=local needs src=DIRECTORY");
  CHECK(refusal(parse_cache_from, "type=local,src=x,digest=1") == "--cache-from: digest '1' is not sha256:...");
}

}  // namespace
}  // namespace cbuild::cache
