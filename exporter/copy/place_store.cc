// SPDX-License-Identifier: Apache-2.0
// An image of the store, or an index of several. Layers of a base may never have been fetched: they are read where they
// came from.
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/blob_places.h"
#include "cache/store.h"
#include "exporter/copy/image_place.h"
#include "oci/image_config.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/registry/client.h"

namespace cbuild::exporter {
namespace {

constexpr std::string_view kLayoutScheme = "oci-layout://";

class StorePlace final : public ImagePlace {
 public:
  StorePlace(std::string name, const PlaceServices& services) : given_(std::move(name)), services_(services) {}

  PlaceKind kind() const override { return PlaceKind::store; }
  std::string name() const override { return given_; }

  ImageDocument root() override {
    auto image = store().image(given_);
    if (!image) image = store().image(oci::parse_reference(given_).str());
    if (!image) throw Error(ErrorCode::not_found, cat("no image ", go_quote(given_), " in the store"));
    return document_of(oci::read_blob(blobs(), image->manifest));
  }
  std::string document(const oci::Descriptor& descriptor) override {
    return oci::read_blob(blobs(), descriptor.digest);
  }
  std::string small_blob(const oci::Descriptor& descriptor) override {
    return oci::read_blob(blobs(), descriptor.digest);
  }
  void fetch(const oci::Descriptor& descriptor, oci::BlobStore& into) override {
    if (is_here(descriptor)) return oci::copy_blob(blobs(), into, descriptor);
    const std::string from = origin(descriptor);
    if (from.starts_with(kLayoutScheme)) {
      const std::string path = from.substr(kLayoutScheme.size());
      return oci::copy_blob(oci::ImageLayout::open(path.substr(0, path.rfind('@'))).blobs(), into, descriptor);
    }
    const std::optional<oci::Reference> image = cache::image_reference(from);
    if (!image)
      throw Error(ErrorCode::not_found, cat("blob ", descriptor.digest.str(), " of ", given_, " is not in the store"));
    services_.registry().fetch_blob(*image, descriptor, into);
  }
  oci::BlobStore* local_blobs(const oci::Descriptor& descriptor) override {
    return is_here(descriptor) ? &blobs() : nullptr;
  }
  std::vector<Referrer> referrers(const Digest&) override { return {}; }

  bool is_there(const ImageDocument&) override { return false; }
  bool take_blob(const oci::Descriptor& descriptor, ImagePlace& from) override {
    if (is_here(descriptor)) return false;
    from.fetch(descriptor, blobs());
    return true;
  }
  void take_document(const ImageDocument& document) override {
    oci::put_blob(blobs(), document.body, document.descriptor.media_type);
  }
  void finish(const ImageDocument& image) override {
    take_document(image);
    store().set_image({oci::parse_reference(given_).str(), image.descriptor.digest, sys::now_ns()});
  }
  void take_referrer(const ImageDocument&, const std::string&) override {
    throw Error(ErrorCode::unsupported, "the store has no place for signatures and attestations")
        .with_hint("copy to an oci-layout:// or a registry");
  }

 private:
  cache::Store& store() { return *services_.store; }
  oci::BlobStore& blobs() { return store().blobs(); }
  bool is_here(const oci::Descriptor& descriptor) { return blobs().size(descriptor.digest) == descriptor.size; }

  /// The locator of an image that has a layer of this one; empty if none is known.
  std::string origin(const oci::Descriptor& descriptor) {
    const std::lock_guard lock(mutex_);
    if (origins_.empty()) add_origins(root().body);
    const auto found = origins_.find(descriptor.digest);
    return found == origins_.end() ? std::string() : found->second;
  }

  void add_origins(const std::string& body) {
    const auto document = oci::parse_manifest(body);
    if (const auto* index = std::get_if<oci::Index>(&document)) {
      for (const oci::Descriptor& entry : index->manifests)
        if (!oci::is_attestation(entry)) add_origins(oci::read_blob(blobs(), entry.digest));
      return;
    }
    const auto& manifest = std::get<oci::Manifest>(document);
    for (const Digest& diff_id : oci::parse_image_config(small_blob(manifest.config)).diff_ids)
      if (const auto layer = store().layer_by_diff_id(diff_id); layer && layer->blob)
        origins_[layer->blob->digest] = layer->fetch_from;
  }

  const std::string given_;
  const PlaceServices services_;
  std::mutex mutex_;  // guards origins_
  std::map<Digest, std::string> origins_;
};

}  // namespace

std::unique_ptr<ImagePlace> store_place(const std::string& name, const PlaceServices& services) {
  if (services.store == nullptr)
    throw Error(ErrorCode::not_found, cat("no image ", go_quote(name), ": nothing was built or copied here yet"));
  return std::make_unique<StorePlace>(name, services);
}

}  // namespace cbuild::exporter
