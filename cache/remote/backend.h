// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "cache/objects/object_store.h"
#include "cache/remote/cache_flag.h"
#include "cache/store.h"
#include "oci/descriptor.h"
#include "oci/reference.h"

namespace cbuild::oci::registry {
class Client;
}

namespace cbuild::cache {

using BytesTold = std::function<void(std::uint64_t bytes, std::uint64_t total)>;

/// One place that holds a cache, to read and to write: a tag of a registry, or of a layout directory. Thread-safe but
/// for put_manifest(). Errors as registry::Client has them; a missing or damaged document is Error{not_found} or
/// {corrupt}, which the import takes as a miss.
class CacheBackend {
 public:
  virtual ~CacheBackend() = default;
  virtual std::string name() const = 0;     ///< "registry host/repository:tag"
  virtual std::string locator() const = 0;  ///< RemoteDocument::locator
  /// Where its blobs lie, if that is a registry.
  virtual std::optional<oci::Reference> repository() const { return std::nullopt; }
  /// The manifest or index under the name, or by digest. Error{not_found} if there is none.
  virtual std::string manifest(const std::optional<Digest>& digest) = 0;
  /// A small blob, verified, of at most kMaxRemoteIndex bytes.
  virtual std::string document(const oci::Descriptor& descriptor) = 0;
  /// Makes a blob of the store's present there. With `mount_from` a registry may take it from another repository.
  virtual void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& mount_from) = 0;
  /// The same for a blob that the store lacks; false if only its content would help.
  virtual bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& mount_from) = 0;
  /// False if the name has got another manifest since manifest() gave it, or a blob is gone that was there: then this
  /// one is not what the name leads to, and has to be made again of what is.
  virtual bool put_manifest(std::string_view body) = 0;
  /// Whether blobs stay there for as long as a manifest names them. Where they do not, each is asked for and renewed by
  /// put_blob() and offer_blob().
  virtual bool keeps_named_blobs() const { return true; }
  /// Removes blobs that no manifest here names, after put_manifest(), where that is possible and worth it: none that
  /// another export may be about to name. Throws Error.
  virtual void collect() {}
  /// Whether a manifest that has not changed is to be written again, against rules that remove by age.
  virtual bool renews_manifest() const { return !keeps_named_blobs(); }
  /// Streams a blob into a store, verified. Of backends whose locator is neither a registry's nor a layout's.
  virtual void fetch_blob(const oci::Descriptor& descriptor, oci::BlobStore& into, const BytesTold& progress);
};

/// The parts of a build that backends need. The references must outlive the backend.
struct BackendServices {
  Store& store;
  std::function<oci::registry::Client&()> registry;  ///< made on first use
  ObjectOptions objects = {};                        ///< for object stores
};

/// One key=value of --cache-from and --cache-to. Its value is in CacheSpec::attributes.
struct BackendKey {
  std::string_view name;
  std::optional<CacheUse> use = std::nullopt;  ///< of one flag only
  /// Refuses a wrong value in the name of the flag. Null: every value is one.
  void (*check)(const CacheFlag& flag, const std::string& value) = nullptr;
};

/// One type of backend, as a row of the table; each is in backend_NAME.cc.
struct BackendType {
  using Open = std::unique_ptr<CacheBackend> (*)(const CacheSpec& spec, const BackendServices& services);
  std::string_view name;  ///< as type= has it
  std::span<const BackendKey> keys = {};
  /// Takes the values read from the flag; throws Error{usage} if some are missing or do not go together.
  void (*parse)(CacheSpec& spec, const CacheFlag& flag);
  Open open_import;
  Open open_export;            ///< null: the cache is in the image that is built, and goes where that goes
  bool fetches_blobs = false;  ///< CacheBackend::fetch_blob() is the way to its blobs
  /// Why a cache is left out on this machine; empty if it is not. Null: never.
  std::string (*left_out)(const CacheSpec& spec) = nullptr;
  /// The caches that an import reads for one flag. Null: the one.
  std::vector<CacheSpec> (*imports)(const CacheSpec& spec) = nullptr;
};

extern const BackendType kAzureBackend, kGhaBackend, kInlineBackend, kLocalBackend, kRegistryBackend, kS3Backend;

/// All types, in the order of help texts.
std::span<const BackendType* const> backend_types();
/// Null for a name that no type has.
const BackendType* find_backend_type(std::string_view name);

/// The caches that an import reads for one --cache-from, at least one. Throws Error.
std::vector<CacheSpec> cache_imports(const CacheSpec& spec);

/// Opens the place that a --cache-from or --cache-to names; it may be missing or unreachable: nothing is read yet.
std::unique_ptr<CacheBackend> open_cache_import(const CacheSpec& spec, const BackendServices& services);
std::unique_ptr<CacheBackend> open_cache_export(const CacheSpec& spec, const BackendServices& services);
/// Whether the cache is to be in the image itself: there is nothing to open then.
bool is_in_image(const CacheSpec& spec);

/// Refuses a document that is larger than kMaxRemoteIndex: Error{corrupt}.
void check_document_size(const oci::Descriptor& descriptor);

}  // namespace cbuild::cache
