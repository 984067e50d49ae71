// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cache/remote/remote_cache.h"
#include "cache/store.h"
#include "exporter/cache_spec.h"
#include "oci/platform.h"
#include "oci/registry/client.h"

namespace cbuild::exporter {

/// One place that holds a cache, to read and to write: a tag of a registry, or of a layout directory. Thread-safe but
/// for put_manifest(). Errors as registry::Client has them.
class CacheEnd {
 public:
  virtual ~CacheEnd() = default;
  virtual std::string name() const = 0;     ///< "registry host/repository:tag"
  virtual std::string locator() const = 0;  ///< cache::RemoteDocument::locator
  /// The manifest or index under the name, or by digest. Error{not_found} if there is none.
  virtual std::string manifest(const std::optional<Digest>& digest) = 0;
  /// A small blob, verified; kept in the store's blobs, so that it is brought once.
  virtual std::string document(const oci::Descriptor& descriptor) = 0;
  /// Makes a blob of the store's present there. With `mount_from` a registry may take it from another repository.
  virtual void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& mount_from) = 0;
  /// The same for a blob that the store lacks; false if only its content would help.
  virtual bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& mount_from) = 0;
  virtual void put_manifest(std::string_view body) = 0;
};

std::unique_ptr<CacheEnd> registry_end(oci::registry::Client& client, cache::Store& store, const std::string& ref);
/// Throws Error{not_found} or {corrupt} for a directory that is no layout, at the first use.
std::unique_ptr<CacheEnd> layout_end(cache::Store& store, const CacheSpec& spec);

/// Whether a manifest or index is a cache that BuildKit exported.
bool is_buildkit_cache(const std::variant<oci::Manifest, oci::Index>& document);

/// Reads what `end` has: a cache's manifest, or an image that carries its cache (of an index the one for `platform`).
/// Throws Error{not_found} if there is neither, {unsupported} for a cache of
/// BuildKit, {corrupt} for a damaged one.
cache::RemoteDocument read_cache(CacheEnd& end, const oci::Platform& platform);

}  // namespace cbuild::exporter
