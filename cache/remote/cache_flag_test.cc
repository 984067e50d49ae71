// SPDX-License-Identifier: Apache-2.0
#include "cache/remote/cache_flag.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "cache/remote/backend.h"

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
  CHECK(parse_cache_to("type=local,dest=d,compression=estargz").compression == oci::layer::Compression::estargz);
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

TEST_CASE("keys of object stores are kept for their backends") {
  const CacheSpec s3 = parse_cache_to(
      "type=s3,bucket=b,region=r,prefix=p/,blobs_prefix=b/,manifests_prefix=m/,name=x;y,access_key_id=a,"
      "secret_access_key=s,session_token=t,use_path_style=true,upload_parallelism=3,touch_refresh=12h,"
      "retry_mode=standard,retry_max_attempts=5,disable_accept_encoding=true");
  CHECK(s3.type == "s3");
  for (const char* key : {"bucket", "region", "prefix", "blobs_prefix", "manifests_prefix", "name", "session_token",
                          "upload_parallelism", "touch_refresh", "retry_mode", "retry_max_attempts"})
    CHECK_FALSE(s3.attribute(key).empty());
}

TEST_CASE("bounds of an export") {
  const CacheSpec spec = parse_cache_to("type=local,dest=d,keep=3d,max-size=5g,gc=false");
  CHECK(spec.keep_days == 3);
  CHECK(spec.max_bytes == 5ull << 30);
  CHECK_FALSE(spec.collect);
  CHECK(parse_cache_to("type=local,dest=d").max_bytes == 10ull << 30);
  CHECK(parse_cache_from("type=local,src=d,timeout=2m").timeout == std::chrono::minutes(2));
  CHECK(parse_cache_from("type=local,src=d,timeout=7").timeout == std::chrono::seconds(7));
  CHECK(refusal(parse_cache_to, "type=local,dest=d,max-size=x") == "--cache-to: max-size 'x' is not a size");
  CHECK(refusal(parse_cache_from, "type=local,src=d,timeout=x") != "accepted");
}

TEST_CASE("the flag of GitHub's cache") {
  for (const char* name : {"ACTIONS_RUNTIME_TOKEN", "ACTIONS_RESULTS_URL"}) ::unsetenv(name);
  const std::string url = "https://results-receiver.actions.githubusercontent.com/";
  const std::string all =
      cat("type=gha,mode=max,scope=s,ignore-error=true,timeout=10m,repository=o/r,ghtoken=x,token=t,url_v2=", url);
  CHECK(parse_cache_to(all).attribute("timeout") == "10m");
  CHECK(parse_cache_from(all).timeout == std::chrono::minutes(10));
  CHECK(why_left_out(parse_cache_to(all)) == "");
  CHECK(why_left_out(parse_cache_to(cat("type=gha,token=t,url=", url))) == "");
  CHECK(why_left_out(parse_cache_to("type=gha,token=t,url=https://h/,version=2")) == "");
  for (const char* none : {"type=gha", "type=gha,url_v2=https://h/", "type=gha,token=t",
                           "type=gha,token=t,url=https://h/", "type=gha,token=t,url_v2=https://h/,version=1"})
    CHECK_MESSAGE(why_left_out(parse_cache_to(none)).starts_with("the cache of type=gha is left out: "), none);
  for (const char* wrong :
       {",url=x", ",url_v2=x", ",version=x", ",version=3", ",timeout=x", ",repository=o/r", ",ghtoken=x"})
    CHECK_MESSAGE(refusal(parse_cache_to, cat("type=gha", wrong)) != "accepted", wrong);
  CHECK(refusal(parse_cache_to, "\"type=gha\",\"scope=a,b\"") == "--cache-to: invalid scope");
  CHECK(why_left_out(parse_cache_to("type=local,dest=d")) == "");
}

TEST_CASE("mistakes in a cache flag are named") {
  CHECK(refusal(parse_cache_to, "ref=x") == "--cache-to: type is required");
  CHECK(refusal(parse_cache_to, "type=ghb") == "--cache-to: unknown type 'ghb'");
  CHECK(refusal(parse_cache_to, "type=registry") == "--cache-to: type=registry needs ref=");
  CHECK(refusal(parse_cache_to, "type=local,src=x") == "--cache-to: unknown key 'src'");
  CHECK(refusal(parse_cache_to, "type=registry,ref=x,mode=all") == "--cache-to: unknown mode 'all'");
  CHECK(refusal(parse_cache_to, "type=inline,mode=max") == "--cache-to: type=inline holds the image's own layers only");
  CHECK(refusal(parse_cache_to, "type=inline,mounts=x") == "--cache-to: type=inline cannot hold cache mounts");
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
