// SPDX-License-Identifier: Apache-2.0
#include "exporter/push.h"

#include <set>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cache/cached_layers.h"
#include "exporter/stored_blob.h"
#include "exporter/transfers.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

/// The repository a base layer came from, if it is on the registry that is pushed to.
std::optional<oci::Reference> mount_source(const cache::Layer& layer, const oci::Reference& target) {
  const auto from = image_reference(layer.fetch_from);
  if (!from || from->registry != target.registry || from->repository == target.repository) return std::nullopt;
  return from;
}

class Pusher {
 public:
  Pusher(const BuiltImage& image, const oci::Reference& target, ExportContext& context)
      : image_(image), target_(target), context_(context) {
    for (std::size_t i = 0; i < image.content.layers.size(); ++i)
      if (seen_.insert(image.content.layers[i].digest).second) jobs_.push_back(i);
  }

  void run() {
    run_transfers(jobs_.size(), [this](std::size_t job) { push_layer(jobs_[job]); });
    push_blob(image_.config, std::nullopt);
  }

 private:
  void push_layer(std::size_t index) {
    const cache::Layer& layer = image_.layers[index];
    const oci::Descriptor& descriptor = image_.content.layers[index];
    const auto mount_from = mount_source(layer, target_);
    if (!context_.store.blobs().size(descriptor.digest)) {
      // A lazy base layer: perhaps the registry has it or can mount it; only else must it be fetched first.
      if (context_.registry->offer_blob(target_, descriptor, mount_from)) return report(descriptor, descriptor.size);
      context_.fetch_blob(layer);
    }
    push_blob(descriptor, mount_from);
  }

  void push_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& mount_from) {
    try {
      context_.registry->push_blob(target_, descriptor, context_.store.blobs(), mount_from,
                                   [&](std::uint64_t bytes, std::uint64_t) { report(descriptor, bytes); });
    } catch (const Error&) {
      verify_stored_blob(context_.store, descriptor.digest);  // the registry may have refused it with good reason
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

std::optional<oci::Reference> image_reference(std::string_view locator) {
  if (locator.starts_with(cache::kCacheOrigin)) locator.remove_prefix(cache::kCacheOrigin.size());
  if (!locator.starts_with(kImageScheme)) return std::nullopt;
  return oci::parse_reference(std::string(locator.substr(kImageScheme.size())));
}

void push_image(const BuiltImage& image, const std::string& name, bool by_digest, ExportContext& context) {
  oci::Reference target = oci::parse_reference(name);
  try {
    Pusher(image, target, context).run();
    if (by_digest) target.tag.clear();
    target.digest = target.tag.empty() ? std::optional(image.manifest.digest) : std::nullopt;
    context.registry->push_manifest(target, image.manifest.media_type, image.manifest_json);
  } catch (Error& error) {
    error.add_context(cat("push ", name));
    throw;  // as the kind of error that it is
  }
}

}  // namespace cbuild::exporter
