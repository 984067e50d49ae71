// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"
#include "base/progress.h"
#include "cache/remote/backend.h"
#include "cache/store.h"
#include "cache/unpacker.h"
#include "engine/cache_race.h"
#include "engine/request/request.h"
#include "frontend/lower/lower.h"
#include "oci/registry/client.h"

namespace cbuild::engine {

/// A layer of a base image could not be brought in. The build failed then, whatever wanted the layer.
class PullError : public Error {
 public:
  explicit PullError(const Error& error) : Error(error) {}
};

/// Where images come from outside the store: registries and OCI layouts. The registry client is made on first use, so
/// that a cached build never loads it. Thread-safe.
class Remote {
 public:
  Remote(cache::Store& store, const SourceSettings& settings, ProgressSink& progress, const CancelSource& cancel);
  ~Remote();

  oci::registry::Client& registry();
  /// Whether a registry was asked for an image in this build.
  bool has_asked();
  /// The build's; null for none.
  const SourcePolicy* policy() const { return settings_.policy.get(); }
  const SignaturePolicy* signatures() const { return settings_.signatures.get(); }
  /// How long layers of remote caches are waited for, from now on. Not while something is fetched.
  void set_race(CacheRace race) { race_ = std::move(race); }
  /// Another client with the same settings, for work that ends by itself.
  std::unique_ptr<oci::registry::Client> new_client(const CancelSource& cancel, unsigned max_attempts);
  /// The same for a remote cache: one that is silent for as long as the race has
  /// patience, and 5 s at least, is a miss.
  std::unique_ptr<oci::registry::Client> new_cache_client(const CancelSource& cancel, const CacheRace& race);
  /// How object stores are reached, with the build's limits; with a race as new_cache_client().
  cache::ObjectOptions object_options(const CancelSource& cancel, const CacheRace* race);
  /// Layers of this cache are fetched through the backend. Before anything is fetched.
  void add_cache(std::unique_ptr<cache::CacheBackend> backend);
  /// Brings the blob of a layer into the store, from where its locator says; shown as a task of its own. A layer that
  /// only a remote cache had and that is missing there is forgotten: Error{missing_content}. Else throws PullError.
  void fetch(const cache::Layer& layer, oci::BlobStore& into);
  /// Bytes of a layer's blob from its registry, not verified; nullopt if they cannot be read in parts.
  std::optional<std::string> read_range(const cache::Layer& layer, std::uint64_t offset, std::uint64_t size);
  cache::BlobFetcher fetcher() {
    return [this](const cache::Layer& layer, oci::BlobStore& into) { fetch(layer, into); };
  }

 private:
  oci::registry::Options client_options(const CancelSource& cancel, unsigned max_attempts);
  void fetch_from_layout(const std::string& locator, const oci::Descriptor& blob, oci::BlobStore& into);
  void fetch_from(const cache::Layer& layer, oci::BlobStore& into, TaskId task);
  oci::registry::Client& client_for(const cache::Layer& layer);
  [[noreturn]] void report_missing(const cache::Layer& layer, const Error& error);

  cache::Store& store_;
  const SourceSettings& settings_;
  ProgressSink& progress_;
  const CancelSource& cancel_;
  std::mutex mutex_;  // guards the clients
  std::unique_ptr<oci::registry::Client> client_, cache_client_;
  std::atomic<TaskId> next_task_;
  CacheRace race_;
  std::map<std::string, std::unique_ptr<cache::CacheBackend>> caches_;  ///< by their locators
};

/// Resolves base images: the store by name first (a build's own results and images pulled before; `--pull` asks the
/// registry), then OCI layouts and registries. Manifest and config of the image are in the store afterwards.
class StoreImageResolver final : public frontend::ImageResolver {
 public:
  StoreImageResolver(cache::Store& store, Remote& remote, PullPolicy pull)
      : store_(store), remote_(remote), pull_(pull) {}
  frontend::ResolvedImage resolve(const std::string& reference, const Digest& locked,
                                  const oci::Platform& platform) override;
  frontend::ResolvedImage resolve_present(const std::string& reference, const Digest& locked,
                                          const oci::Platform& platform) override;
  /// What a name gives now, for any platform: its index or manifest at the registry, else in the store. Throws Error.
  Digest present(const std::string& reference);

 private:
  std::string redirected(const std::string& text) const;
  bool may_ask() const;
  frontend::ResolvedImage find(const std::string& text, const oci::Platform& platform, bool ask);
  frontend::ResolvedImage from_layout(const std::string& locator, const oci::Platform& platform);
  frontend::ResolvedImage from_registry(const oci::Reference& reference, const oci::Platform& platform);
  std::optional<std::string> read_document(const Digest& digest);
  std::optional<frontend::ResolvedImage> from_store(const oci::Reference& reference, const oci::Platform& platform);
  /// Of an index the image for `platform`.
  std::optional<frontend::ResolvedImage> kept_image(const Digest& top, const std::string& locator,
                                                    const oci::Platform& platform, bool index_only);

  cache::Store& store_;
  Remote& remote_;
  PullPolicy pull_;
};

inline constexpr std::string_view kLayoutScheme = "oci-layout://";
/// "PATH", "TAG" or "@DIGEST" of "oci-layout://PATH[:TAG|@DIGEST]".
struct LayoutLocator {
  std::string path, selector;
};
LayoutLocator parse_layout_locator(const std::string& locator);

}  // namespace cbuild::engine
