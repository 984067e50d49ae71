// SPDX-License-Identifier: Apache-2.0
// Pushes images, unless the name gives them already: a registry keeps what a manifest names, so that one answer stands
// for a question per blob; of an index, what each manifest names. Configs and layers in parallel, then the manifests,
// which must not name anything absent, then the index.
// Layers that were sent while the build ran only need their name. For each layer the cheap ways come first: it is there
// already, or the registry can mount it from a repository where this store has seen it (cache/blob_places.h). A layer
// of a base that was never fetched is fetched only when both fail.
#include "exporter/push.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cache/blob_places.h"
#include "exporter/blob_verify.h"
#include "exporter/push_referrer.h"
#include "exporter/transfers.h"
#include "oci/layer_type.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

/// A layer of one of the images, by their places.
struct LayerPlace {
  const BuiltImage* image;
  std::size_t index;

  const cache::Layer& layer() const { return image->layers[index]; }
  const oci::Descriptor& descriptor() const { return image->content.layers[index]; }
};

/// The blobs of manifests, each once.
class Pusher {
 public:
  Pusher(const oci::Reference& target, ExportContext& context) : target_(target), context_(context) {}

  void add(const BuiltImage& image) {
    for (std::size_t i = 0; i < image.content.layers.size(); ++i)
      if (!oci::is_foreign_layer(image.content.layers[i].media_type) &&
          seen_.insert(image.content.layers[i].digest).second)
        layers_.push_back({&image, i});
    if (seen_.insert(image.config.digest).second) configs_.push_back(&image.config);
  }

  /// All is there.
  void note_all() {
    for (const LayerPlace& place : layers_) {
      report(place.descriptor(), place.descriptor().size);
      cache::note_blob_place(context_.store, target_, place.descriptor().digest);
    }
  }

  void run() {
    run_transfers(configs_.size() + layers_.size(), [this](std::size_t job) {
      if (job < configs_.size()) return push_blob(*configs_[job], std::nullopt);
      push_layer(layers_[job - configs_.size()]);
    });
  }

 private:
  void push_layer(const LayerPlace& place) {
    const oci::Descriptor& descriptor = place.descriptor();
    if (was_sent(descriptor) || send_layer(place.layer(), descriptor)) report(descriptor, descriptor.size);
    cache::note_blob_place(context_.store, target_, descriptor.digest);
  }

  /// While the build ran.
  bool was_sent(const oci::Descriptor& descriptor) {
    const auto progress = [&](std::uint64_t bytes, std::uint64_t) { report(descriptor, bytes); };
    return context_.early != nullptr && context_.early->finish(target_, descriptor, progress, context_.cancel);
  }

  /// True if no byte had to move.
  bool send_layer(const cache::Layer& layer, const oci::Descriptor& descriptor) {
    const std::vector<oci::Reference> sources = mount_sources(context_.store, layer, target_);
    const bool here = context_.store.blobs().size(descriptor.digest).has_value();
    // The last source is asked together with the upload, if there is something to upload.
    for (std::size_t i = 0; i + (here ? 1 : 0) < sources.size(); ++i)
      if (context_.registry->offer_blob(target_, descriptor, sources[i])) return true;
    if (!here) {
      // A lazy base layer: only if the registry neither has it nor can mount it, it must be fetched first.
      if (sources.empty() && context_.registry->offer_blob(target_, descriptor, std::nullopt)) return true;
      context_.fetch_blob(layer, context_.store.blobs());
    }
    push_blob(descriptor, here && !sources.empty() ? std::optional(sources.back()) : std::nullopt);
    return false;
  }

  void push_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& mount_from) {
    try {
      context_.registry->push_blob(target_, descriptor, context_.store.blobs(), mount_from,
                                   [&](std::uint64_t bytes, std::uint64_t) { report(descriptor, bytes); });
    } catch (const Error&) {
      verify_blob(context_.store, descriptor.digest);  // the registry may have refused it with good reason
      throw;
    }
    report(descriptor, descriptor.size);
  }

  void report(const oci::Descriptor& descriptor, std::uint64_t bytes) {
    if (context_.progress)
      context_.progress->on_event(
          TaskCounter{context_.task, descriptor.digest.str(), bytes, descriptor.size, true, bytes == descriptor.size});
  }

  const oci::Reference& target_;
  ExportContext& context_;
  std::set<Digest> seen_;
  std::vector<LayerPlace> layers_;
  std::vector<const oci::Descriptor*> configs_;
};

/// The repository with a manifest's digest in the place of a tag.
oci::Reference by_digest_of(oci::Reference target, const Digest& digest) {
  target.tag.clear();
  target.digest = digest;
  return target;
}

/// Everything below the document that gets the name.
void push_below(const ImageSet& images, const oci::Reference& target, ExportContext& context) {
  const std::vector<BuiltImage>& all = images.manifests;
  std::vector<char> present(all.size());
  const auto reference = [&](std::size_t i) { return by_digest_of(target, all[i].manifest.digest); };
  if (images.index)
    run_transfers(all.size(), [&](std::size_t i) {
      present[i] = context.registry->has_manifest(reference(i), all[i].manifest.digest);
    });
  Pusher wanted(target, context), known(target, context);
  for (std::size_t i = 0; i < all.size(); ++i) (present[i] ? known : wanted).add(all[i]);
  known.note_all();
  wanted.run();
  if (!images.index) return;
  run_transfers(all.size(), [&](std::size_t i) {
    if (!present[i]) context.registry->push_manifest(reference(i), all[i].manifest.media_type, all[i].manifest_json);
  });
}

}  // namespace

std::vector<oci::Reference> mount_sources(cache::Store& store, const cache::Layer& layer,
                                          const oci::Reference& target) {
  std::vector<std::string> repositories = cache::blob_places(store, target.registry, layer.blob->digest);
  if (const auto from = cache::image_reference(layer.fetch_from); from && from->registry == target.registry)
    repositories.push_back(from->repository);
  if (std::find(repositories.begin(), repositories.end(), target.repository) != repositories.end()) return {};
  std::vector<oci::Reference> out;
  for (const std::string& repository : repositories) {
    oci::Reference source = target;
    source.repository = repository;
    out.push_back(std::move(source));
  }
  return out;
}

void note_base(cache::Store& store, const std::string& locator, const Digest& manifest,
               const std::vector<std::string>& names) {
  const auto image = cache::image_reference(locator);
  const auto is_there = [&](const std::string& name) { return oci::parse_reference(name).registry == image->registry; };
  if (!image || std::none_of(names.begin(), names.end(), is_there)) return;
  try {
    const auto document = oci::parse_manifest(oci::read_blob(store.blobs(), manifest));
    if (const auto* content = std::get_if<oci::Manifest>(&document))
      for (const oci::Descriptor& layer : content->layers) cache::note_blob_place(store, *image, layer.digest);
  } catch (const Error&) {
    return;  // gone or damaged since it was resolved: a push without it uploads
  }
}

void push_images(const ImageSet& images, const std::string& name, bool by_digest, ExportContext& context) {
  oci::Reference target = oci::parse_reference(name);
  if (by_digest) target.tag.clear();
  target.digest = target.tag.empty() ? std::optional(images.top().digest) : std::nullopt;
  try {
    if (context.registry->has_manifest(target, images.top().digest)) {
      Pusher known(target, context);
      for (const BuiltImage& image : images.manifests) known.add(image);
      known.note_all();
    } else {
      push_below(images, target, context);
      context.registry->push_manifest(target, images.top().media_type, images.top_json());
    }
    for (const BuiltImage& referrer : images.referrers) push_referrer(referrer, target, context);
  } catch (Error& error) {
    error.add_context(cat("push ", name));
    throw;  // as the kind of error that it is
  }
}

}  // namespace cbuild::exporter
