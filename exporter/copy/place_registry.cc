// SPDX-License-Identifier: Apache-2.0
// An image in a registry. A blob that another repository of the same registry has is mounted; a blob of another
// registry passes through a temporary file, as an upload has to state its size and may have to be repeated.
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "exporter/copy/image_place.h"
#include "oci/layout.h"
#include "oci/manifest.h"
#include "oci/registry/client.h"

namespace cbuild::exporter {
namespace {

/// Tags by which cosign finds what belongs to an image: "sha256-<hex>.sig".
constexpr std::string_view kCosignEnds[] = {".sig", ".att", ".sbom"};

using From = oci::registry::Client::From;

class RegistryPlace final : public ImagePlace {
 public:
  RegistryPlace(oci::Reference reference, PlaceUse use, const PlaceServices& services)
      : reference_(std::move(reference)),
        from_(use == PlaceUse::change ? From::upstream : From::mirrors),
        services_(services) {}

  PlaceKind kind() const override { return PlaceKind::registry; }
  std::string name() const override { return reference_.familiar(); }
  std::optional<oci::Reference> repository() const override { return reference_; }

  ImageDocument root() override { return document_of(client().manifest(reference_, from_).body); }

  std::string document(const oci::Descriptor& descriptor) override {
    return client().manifest(by_digest(descriptor.digest), from_).body;
  }
  std::string small_blob(const oci::Descriptor& descriptor) override {
    return client().fetch_small_blob(reference_, descriptor);
  }
  void fetch(const oci::Descriptor& descriptor, oci::BlobStore& into) override {
    client().fetch_blob(reference_, descriptor, into);
  }
  oci::BlobStore* local_blobs(const oci::Descriptor&) override { return nullptr; }

  std::vector<Referrer> referrers(const Digest& subject) override {
    std::vector<Referrer> out;
    for (oci::Descriptor& descriptor : client().referrers(reference_, subject))
      out.push_back({std::move(descriptor), {}});
    for (const std::string_view end : kCosignEnds) {
      oci::Reference signature = by_tag(cat("sha256-", subject.hex(), end));
      if (auto found = client().resolve(signature)) out.push_back({*std::move(found), signature.tag});
    }
    return out;
  }

  bool is_there(const ImageDocument& image) override {
    return client().has_manifest(target(image), image.descriptor.digest);
  }

  bool take_blob(const oci::Descriptor& descriptor, ImagePlace& from) override {
    const std::optional<oci::Reference> source = from.repository();
    const bool same_registry = source && source->registry == reference_.registry;
    if (same_registry && source->repository == reference_.repository) return false;
    using Outcome = oci::registry::Client::PushOutcome;
    if (oci::BlobStore* local = from.local_blobs(descriptor))
      return client().push_blob(reference_, descriptor, *local, std::nullopt) == Outcome::uploaded;
    if (client().offer_blob(reference_, descriptor, same_registry ? source : std::nullopt)) return false;
    const TempDir passing = TempDir::in_tmp("cbuild-copy");
    oci::ImageLayout layout = oci::ImageLayout::create(passing.path());
    from.fetch(descriptor, layout.blobs());
    return client().push_blob(reference_, descriptor, layout.blobs(), std::nullopt) == Outcome::uploaded;
  }

  void take_document(const ImageDocument& document) override { push(by_digest(document.descriptor.digest), document); }
  void finish(const ImageDocument& image) override { push(target(image), image); }

  void take_referrer(const ImageDocument& artifact, const std::string& tag) override {
    if (!tag.empty()) return push(by_tag(tag), artifact);
    client().push_referrer(reference_, artifact.descriptor.media_type, artifact.body);
  }

 private:
  oci::registry::Client& client() { return services_.registry(); }

  oci::Reference by_tag(const std::string& tag) const {
    return {reference_.registry, reference_.repository, tag, std::nullopt, {}};
  }
  oci::Reference by_digest(const Digest& digest) const {
    return {reference_.registry, reference_.repository, {}, digest, {}};
  }
  /// Without a tag the image is there under its digest, which has to be the one that was asked for.
  oci::Reference target(const ImageDocument& image) const {
    oci::Reference out = reference_;
    if (out.digest && *out.digest != image.descriptor.digest)
      throw Error(ErrorCode::usage, cat(name(), ": the image has the digest ", image.descriptor.digest.str()));
    if (out.tag.empty()) out.digest = image.descriptor.digest;
    return out;
  }
  void push(const oci::Reference& reference, const ImageDocument& document) {
    client().push_manifest(reference, document.descriptor.media_type, document.body);
  }

  const oci::Reference reference_;
  const From from_;
  const PlaceServices services_;
};

}  // namespace

std::unique_ptr<ImagePlace> registry_place(const oci::Reference& reference, PlaceUse use,
                                           const PlaceServices& services) {
  return std::make_unique<RegistryPlace>(reference, use, services);
}

}  // namespace cbuild::exporter
