// SPDX-License-Identifier: Apache-2.0
// type=azblob, a row of backend.h: a container of Azure's blob storage. Keys and variables are BuildKit's; the
// documents are not, so the default name is another one.
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "cache/objects/azure_store.h"
#include "cache/remote/backend.h"
#include "cache/remote/object_backend.h"

namespace cbuild::cache {
namespace {

constexpr std::int64_t kAzureRefresh_s = 86'400;

constexpr BackendKey kAzureKeys[] = {{"account_url"}, {"account_name"},     {"secret_access_key"}, {"container"},
                                     {"prefix"},      {"manifests_prefix"}, {"blobs_prefix"},      {"name"}};

std::string azure_value(const CacheSpec& spec, const std::string& key, const char* variable,
                        const std::string& otherwise = {}) {
  if (std::string value = spec.attribute(key); !value.empty()) return value;
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string account_url_of(const CacheSpec& spec) {
  return azure_value(spec, "account_url", "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL");
}

void parse_azure(CacheSpec& spec, const CacheFlag& flag) {
  const std::string text = account_url_of(spec);
  if (text.empty()) flag.refuse("type=azblob needs account_url= or BUILDKIT_AZURE_STORAGE_ACCOUNT_URL");
  const auto url = http::parse_url(text);
  if (!url) flag.refuse("account_url is not a URL", "https://ACCOUNT.blob.core.windows.net");
  const std::string key = spec.attribute("secret_access_key");
  if (!key.empty() && !base64_decode(key)) flag.refuse("secret_access_key is not base64");
  if (key.empty() && url->query.find("sig=") == std::string::npos)
    flag.refuse("type=azblob needs secret_access_key=, or a shared access signature behind account_url",
                "account_url=https://ACCOUNT.blob.core.windows.net/?sv=...&sig=...");
}

std::unique_ptr<CacheBackend> open_azure_cache(const CacheSpec& spec, const BackendServices& services) {
  AzurePlace place;
  const auto url = http::parse_url(account_url_of(spec));
  if (!url) throw Error(ErrorCode::usage, "type=azblob: account_url is not a URL");
  place.account_url = *url;
  place.container = azure_value(spec, "container", "BUILDKIT_AZURE_STORAGE_CONTAINER", "buildkit-cache");
  const std::string name = azure_value(spec, "account_name", "BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME",
                                       url->host.substr(0, url->host.find('.')));
  if (const auto key = base64_decode(spec.attribute("secret_access_key")); key && !key->empty())
    place.account = AzureAccount{name, *key};
  std::string prefix = azure_value(spec, "prefix", "BUILDKIT_AZURE_STORAGE_PREFIX");
  if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  ObjectNames names;
  names.shown = cat("azblob ", url->authority(), "/", place.container, "/", prefix);
  names.locator = cat("azblob://", url->authority(), url->path, place.container, "/", prefix,
                      spec.attribute("blobs_prefix", "blobs"));
  names.blobs = cat(prefix, spec.attribute("blobs_prefix", "blobs"), "/");
  names.manifests = cat(prefix, spec.attribute("manifests_prefix", "manifests"), "/");
  for (const std::string& part : split(spec.attribute("name", "cbuild"), ';'))
    if (!part.empty()) names.names.push_back(part);
  if (names.names.empty()) names.names.emplace_back("cbuild");
  names.touch_refresh_s = kAzureRefresh_s;
  names.collects = spec.attribute("blobs_prefix").empty() && spec.attribute("manifests_prefix").empty();
  names.now_s = services.objects.now_s;
  return object_backend(open_azure(std::move(place), services.objects), std::move(names), services.store);
}

}  // namespace

const BackendType kAzureBackend = {.name = "azblob",
                                   .keys = kAzureKeys,
                                   .parse = parse_azure,
                                   .open_import = open_azure_cache,
                                   .open_export = open_azure_cache,
                                   .fetches_blobs = true};

}  // namespace cbuild::cache
