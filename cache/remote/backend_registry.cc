// SPDX-License-Identifier: Apache-2.0
// type=registry, a row of backend.h: a manifest in a registry, a cache or an image that carries one.
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
    return client_.manifest(wanted, from_).body;
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
    client_.push_manifest(reference_, oci::media_type::kManifest, body);
    return true;  // registries cannot tell
  }

 private:
  oci::registry::Client& client_;
  Store& store_;
  const oci::Reference reference_;
  const From from_;  ///< an export adds to what is there, which a mirror may not have yet
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
