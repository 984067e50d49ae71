// SPDX-License-Identifier: Apache-2.0
// type=s3, a row of backend.h: a bucket of Amazon S3 or of a service that speaks its protocol. Keys and variables are
// BuildKit's; the documents are not, so the default name is another one.

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "cache/objects/s3_store.h"
#include "cache/remote/backend.h"
#include "cache/remote/object_backend.h"

namespace cbuild::cache {
namespace {

constexpr std::int64_t kDay_s = 86'400, kMostParallel = 64, kMostAttempts = 100;

void check_path_style(const CacheFlag& flag, const std::string& value) { flag.truth("use_path_style", value); }
void check_accept_encoding(const CacheFlag& flag, const std::string& value) {
  flag.truth("disable_accept_encoding", value);
}

void check_endpoint(const CacheFlag& flag, const std::string& value) {
  if (!http::parse_url(value)) flag.refuse(cat("endpoint_url '", value, "' is not a URL"), "https://HOST[:PORT]");
}

void check_positive(const CacheFlag& flag, std::string_view key, const std::string& value, std::int64_t most) {
  if (flag.number(key, value, most) == 0) flag.refuse(cat(key, " must not be 0"));
}
void check_parallel(const CacheFlag& flag, const std::string& value) {
  check_positive(flag, "upload_parallelism", value, kMostParallel);
}
void check_attempts(const CacheFlag& flag, const std::string& value) {
  check_positive(flag, "retry_max_attempts", value, kMostAttempts);
}

void check_refresh(const CacheFlag& flag, const std::string& value) {
  if (!parse_duration_ns(value)) flag.refuse(cat("touch_refresh '", value, "' is not a time"), "for example 24h");
}

void check_retry_mode(const CacheFlag& flag, const std::string& value) {
  if (value != "standard" && value != "adaptive")
    flag.refuse(cat("unknown retry_mode '", value, "'"), "standard or adaptive");
}

constexpr BackendKey kS3Keys[] = {{"bucket"},
                                  {"region"},
                                  {"prefix"},
                                  {"manifests_prefix"},
                                  {"blobs_prefix"},
                                  {"name"},
                                  {"endpoint_url", std::nullopt, check_endpoint},
                                  {"access_key_id"},
                                  {"secret_access_key"},
                                  {"session_token"},
                                  {"use_path_style", std::nullopt, check_path_style},
                                  {"upload_parallelism", std::nullopt, check_parallel},
                                  {"touch_refresh", std::nullopt, check_refresh},
                                  {"disable_accept_encoding", std::nullopt, check_accept_encoding},
                                  {"retry_mode", std::nullopt, check_retry_mode},
                                  {"retry_max_attempts", std::nullopt, check_attempts}};

std::string bucket_of(const CacheSpec& spec) { return spec.attribute_or("bucket", {"AWS_BUCKET"}); }
std::string region_of(const CacheSpec& spec) {
  return spec.attribute_or("region", {"AWS_REGION", "AWS_DEFAULT_REGION"});
}

void parse_s3(CacheSpec& spec, const CacheFlag& flag) {
  const std::string bucket = bucket_of(spec);
  if (bucket.empty()) flag.refuse("type=s3 needs bucket= or AWS_BUCKET");
  if (bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
      std::string::npos)
    flag.refuse(cat("invalid bucket ", go_quote(bucket)));
  if (region_of(spec).empty()) flag.refuse("type=s3 needs region= or AWS_REGION");
  if (spec.attribute("access_key_id").empty() != spec.attribute("secret_access_key").empty())
    flag.refuse("access_key_id= and secret_access_key= go together");
}

S3Place place_of(const CacheSpec& spec) {
  S3Place place;
  place.bucket = bucket_of(spec);
  place.region = region_of(spec);
  const std::string endpoint = spec.attribute_or("endpoint_url", {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  if (!endpoint.empty()) place.endpoint = http::parse_url(endpoint);
  if (!endpoint.empty() && !place.endpoint)
    throw Error(ErrorCode::usage, cat("AWS_ENDPOINT_URL: invalid URL ", go_quote(endpoint)));
  const std::string path_style = spec.attribute("use_path_style", "false");
  place.path_style = path_style.empty() || parse_bool(path_style).value_or(false);
  if (const std::string id = spec.attribute("access_key_id"); !id.empty())
    place.keys = AwsKeys{id, spec.attribute("secret_access_key"), spec.attribute("session_token"), 0};
  return place;
}

std::unique_ptr<CacheBackend> open_s3_cache(const CacheSpec& spec, const BackendServices& services) {
  S3Place place = place_of(spec);
  const std::string prefix = spec.attribute("prefix");
  ObjectNames names;
  names.shown = cat("s3://", place.bucket, "/", prefix);
  names.locator = cat("s3://", place.bucket, "/", prefix, spec.attribute("blobs_prefix", "blobs/"), "@",
                      place.endpoint ? place.endpoint->authority() : place.region);
  names.blobs = prefix + spec.attribute("blobs_prefix", "blobs/");
  names.manifests = prefix + spec.attribute("manifests_prefix", "manifests/");
  for (const std::string& name : split(spec.attribute("name", "cbuild"), ';'))
    if (!name.empty()) names.names.push_back(name);
  if (names.names.empty()) names.names.emplace_back("cbuild");
  names.touch_refresh_s =
      parse_duration_ns(spec.attribute("touch_refresh")).value_or(kDay_s * 1'000'000'000) / 1'000'000'000;
  names.collects = spec.attribute("blobs_prefix").empty() && spec.attribute("manifests_prefix").empty();
  names.now_s = services.objects.now_s;
  ObjectOptions options = services.objects;
  options.parallel = static_cast<unsigned>(parse_int(spec.attribute("upload_parallelism", "4")).value_or(4));
  if (const auto attempts = parse_int(spec.attribute("retry_max_attempts")))
    options.max_attempts = static_cast<unsigned>(*attempts);
  return object_backend(open_s3(std::move(place), options), std::move(names), services.store);
}

}  // namespace

const BackendType kS3Backend = {.name = "s3",
                                .keys = kS3Keys,
                                .parse = parse_s3,
                                .open_import = open_s3_cache,
                                .open_export = open_s3_cache,
                                .fetches_blobs = true};

}  // namespace cbuild::cache
