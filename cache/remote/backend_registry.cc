// SPDX-License-Identifier: Apache-2.0
// type=registry, a row of backend.h: a manifest in a registry, a cache or an image that carries one. Registries have no
// conditional PUT, so the tag is looked at before a manifest is put and once more after as long as another writer, who
// looked before that, may take to put its own. Of two at once the one that was replaced sees it, and adds its results
// again. What remains is a writer whose single request takes several times as long as the same one of the other.
#include <algorithm>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "cache/remote/backend.h"
#include "cache/remote/remote_index.h"
#include "oci/registry/client.h"

namespace cbuild::cache {
namespace {

using From = oci::registry::Client::From;

class RegistryBackend final : public CacheBackend {
 public:
  RegistryBackend(oci::registry::Client& client, Store& store, const std::string& ref, From from)
      : client_(client), store_(store), reference_(oci::parse_reference(ref)), from_(from) {}

  std::string name() const override { return "registry " + reference_.familiar(); }
  std::string locator() const override { return "docker-image://" + reference_.str(); }
  std::optional<oci::Reference> repository() const override { return reference_; }

  std::string manifest(const std::optional<Digest>& digest) override {
    oci::Reference wanted = reference_;
    if (digest) {
      wanted.tag.clear();
      wanted.digest = digest;
    }
    if (!digest) read_ = Read{};
    std::string body = client_.manifest(wanted, from_).body;
    if (!digest) read_->there = sha256(body);
    return body;
  }

  /// Kept in the store's blobs, so that it is fetched once.
  std::string document(const oci::Descriptor& descriptor) override {
    check_document_size(descriptor);
    client_.fetch_blob(reference_, descriptor, store_.blobs());
    return oci::read_blob(store_.blobs(), descriptor.digest, kMaxRemoteIndex);
  }

  void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& from) override {
    client_.push_blob(reference_, descriptor, store_.blobs(), from);
  }
  bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& from) override {
    return client_.offer_blob(reference_, descriptor, from);
  }
  bool put_manifest(std::string_view body) override {
    const auto begun = std::chrono::steady_clock::now();
    if (read_ && there() != read_->there) return false;
    client_.push_manifest(reference_, oci::media_type::kManifest, body);
    const auto took = std::chrono::steady_clock::now() - begun;
    std::this_thread::sleep_for(std::clamp<std::chrono::nanoseconds>(3 * took, kLeastPause, kMostPause));
    return there() == sha256(body);
  }

 private:
  struct Read {
    std::optional<Digest> there;  ///< nullopt: nothing was under the tag
  };
  static constexpr std::chrono::milliseconds kLeastPause{20}, kMostPause{1000};

  /// What the tag leads to now.
  std::optional<Digest> there() {
    try {
      return sha256(client_.manifest(reference_, oci::registry::Client::From::upstream).body);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      return std::nullopt;
    }
  }

  oci::registry::Client& client_;
  Store& store_;
  const oci::Reference reference_;
  const From from_;           ///< an export adds to what is there, which a mirror may not have yet
  std::optional<Read> read_;  ///< by the last manifest()
};

void check_registry_truth(const CacheFlag& flag, const std::string& value) { flag.truth("registry.insecure", value); }

constexpr BackendKey kRegistryKeys[] = {{"ref"}, {"registry.insecure", std::nullopt, check_registry_truth}};

void parse_registry(CacheSpec& spec, const CacheFlag& flag) {
  const std::string reference = spec.attribute("ref");
  if (reference.empty()) {
    const bool from = flag.use == CacheUse::from;
    flag.refuse(from ? "a reference is missing" : "type=registry needs ref=", "ref=REGISTRY/REPOSITORY:TAG");
  };
  const auto insecure = spec.attributes.find("registry.insecure");
  if (insecure == spec.attributes.end()) return;
  if (flag.truth(insecure->first, insecure->second)) spec.insecure_registry = oci::parse_reference(reference).registry;
  spec.attributes.erase(insecure);
}

std::unique_ptr<CacheBackend> import_registry(const CacheSpec& spec, const BackendServices& services) {
  return std::make_unique<RegistryBackend>(services.registry(), services.store, spec.attribute("ref"), From::mirrors);
}

std::unique_ptr<CacheBackend> export_registry(const CacheSpec& spec, const BackendServices& services) {
  return std::make_unique<RegistryBackend>(services.registry(), services.store, spec.attribute("ref"), From::upstream);
}

}  // namespace

const BackendType kRegistryBackend = {.name = "registry",
                                      .keys = kRegistryKeys,
                                      .parse = parse_registry,
                                      .open_import = import_registry,
                                      .open_export = export_registry};

}  // namespace cbuild::cache
