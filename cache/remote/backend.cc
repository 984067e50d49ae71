// SPDX-License-Identifier: Apache-2.0
#include "cache/remote/backend.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "cache/remote/remote_index.h"

namespace cbuild::cache {
namespace {

constexpr std::array kBackendTypes = {&kRegistryBackend, &kLocalBackend, &kInlineBackend,
                                      &kS3Backend,       &kAzureBackend, &kGhaBackend};

const BackendType& backend_type(const CacheSpec& spec) {
  const BackendType* type = find_backend_type(spec.type);
  if (type == nullptr) throw Error(ErrorCode::usage, cat("unknown type of cache '", spec.type, "'"));
  return *type;
}

}  // namespace

void CacheBackend::fetch_blob(const oci::Descriptor& descriptor, oci::BlobStore&, const BytesTold&) {
  throw Error(ErrorCode::not_found, cat("blob ", descriptor.name(), " is fetched from ", locator()));
}

std::span<const BackendType* const> backend_types() { return kBackendTypes; }

const BackendType* find_backend_type(std::string_view name) {
  const auto found = std::find_if(kBackendTypes.begin(), kBackendTypes.end(),
                                  [&](const BackendType* type) { return type->name == name; });
  return found == kBackendTypes.end() ? nullptr : *found;
}

std::string why_left_out(const CacheSpec& spec) {
  const auto ask = backend_type(spec).left_out;
  return ask == nullptr ? std::string() : ask(spec);
}

std::vector<CacheSpec> cache_imports(const CacheSpec& spec) {
  const auto ask = backend_type(spec).imports;
  return ask == nullptr ? std::vector<CacheSpec>{spec} : ask(spec);
}

std::unique_ptr<CacheBackend> open_cache_import(const CacheSpec& spec, const BackendServices& services) {
  return backend_type(spec).open_import(spec, services);
}

std::unique_ptr<CacheBackend> open_cache_export(const CacheSpec& spec, const BackendServices& services) {
  const BackendType& type = backend_type(spec);
  CBUILD_CHECK(type.open_export != nullptr);
  return type.open_export(spec, services);
}

bool is_in_image(const CacheSpec& spec) { return backend_type(spec).open_export == nullptr; }

void check_document_size(const oci::Descriptor& descriptor) {
  if (descriptor.size > kMaxRemoteIndex)
    throw Error(ErrorCode::corrupt, cat("the cache index is larger than ", kMaxRemoteIndex, " bytes"));
}

}  // namespace cbuild::cache
