// SPDX-License-Identifier: Apache-2.0
// Pushes an image, unless the name gives it already: a registry keeps what a manifest names, so that one answer stands
// for a question per blob. Config and layers in parallel, then the manifest, which must not name anything absent.
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
#include "exporter/transfers.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

class Pusher {
 public:
  Pusher(const BuiltImage& image, const oci::Reference& target, ExportContext& context)
      : image_(image), target_(target), context_(context) {
    for (std::size_t i = 0; i < image.content.layers.size(); ++i)
      if (seen_.insert(image.content.layers[i].digest).second) jobs_.push_back(i);
  }

  /// All is there.
  void note_all() {
    for (const std::size_t job : jobs_) {
      report(image_.content.layers[job], image_.content.layers[job].size);
      cache::note_blob_place(context_.store, target_, image_.content.layers[job].digest);
    }
  }

  void run() {
    run_transfers(jobs_.size() + 1, [this](std::size_t job) {
      if (job == 0) return push_blob(image_.config, std::nullopt);
      push_layer(jobs_[job - 1]);
    });
  }

 private:
  void push_layer(std::size_t index) {
    const cache::Layer& layer = image_.layers[index];
    const oci::Descriptor& descriptor = image_.content.layers[index];
    if (was_sent(descriptor) || send_layer(layer, descriptor)) report(descriptor, descriptor.size);
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

  const BuiltImage& image_;
  const oci::Reference& target_;
  ExportContext& context_;
  std::set<Digest> seen_;
  std::vector<std::size_t> jobs_;
};

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

void push_image(const BuiltImage& image, const std::string& name, bool by_digest, ExportContext& context) {
  oci::Reference target = oci::parse_reference(name);
  if (by_digest) target.tag.clear();
  target.digest = target.tag.empty() ? std::optional(image.manifest.digest) : std::nullopt;
  Pusher pusher(image, target, context);
  try {
    if (context.registry->has_manifest(target, image.manifest.digest)) return pusher.note_all();
    pusher.run();
    context.registry->push_manifest(target, image.manifest.media_type, image.manifest_json);
  } catch (Error& error) {
    error.add_context(cat("push ", name));
    throw;  // as the kind of error that it is
  }
}

}  // namespace cbuild::exporter
