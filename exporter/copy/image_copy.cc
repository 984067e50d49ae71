// SPDX-License-Identifier: Apache-2.0
// Copies images between places. First all manifests below the image are read; then the blobs that they name are brought
// to the target, each once, several at a time; then the manifests, parts before wholes; last the name. So a target
// never has a manifest whose parts are missing, and its name leads to the old image until the new one is complete.
#include "exporter/copy/image_copy.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "exporter/copy/image_facts.h"
#include "exporter/transfers.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

constexpr unsigned kDeepestIndex = 4;
constexpr std::size_t kMostManifests = 10'000;

using SourceOf = std::function<ImagePlace&(const Digest&)>;

class Copy {
 public:
  Copy(const SourceOf& source_of, ImagePlace& to, const CopyOptions& options)
      : source_of_(source_of), to_(to), options_(options) {}

  CopyResult run(const ImageDocument& image) {
    CopyResult result;
    result.image = image.descriptor;
    if (!options_.referrers && to_.is_there(image)) {
      result.was_there = true;
      return result;
    }
    ImagePlace& from = source_of_(image.descriptor.digest);
    collect(image, from, 0);
    if (options_.referrers) collect_referrers(from);
    move_blobs();
    for (const ImageDocument& document : documents_)
      if (document.descriptor.digest != image.descriptor.digest || options_.referrers) to_.take_document(document);
    for (const auto& [artifact, tag] : artifacts_) to_.take_referrer(artifact, tag);
    to_.finish(image);
    result.blobs = blobs_.size();
    result.moved_blobs = moved_blobs_;
    result.moved_bytes = moved_bytes_;
    result.referrers = artifacts_.size();
    return result;
  }

 private:
  struct Blob {
    oci::Descriptor descriptor;
    ImagePlace* from;
  };

  /// The manifests below a document, parts first.
  void collect(const ImageDocument& document, ImagePlace& from, unsigned depth) {
    if (!seen_.insert(document.descriptor.digest).second) return;
    if (depth > kDeepestIndex) throw Error(ErrorCode::corrupt, cat(from.name(), ": indexes are nested too deeply"));
    if (seen_.size() > kMostManifests) throw Error(ErrorCode::corrupt, cat(from.name(), ": too many manifests"));
    const auto parsed = oci::parse_manifest(document.body, {}, oci::Digests::any);
    if (const auto* manifest = std::get_if<oci::Manifest>(&parsed)) {
      add_blob(manifest->config, from);
      for (const oci::Descriptor& layer : manifest->layers) add_blob(layer, from);
    } else {
      for (const oci::Descriptor& entry : std::get<oci::Index>(parsed).manifests) {
        refuse_sha512(entry);
        ImagePlace& place = depth == 0 ? source_of_(entry.digest) : from;
        collect(read(entry, place), place, depth + 1);
      }
    }
    documents_.push_back(document);
  }

  static ImageDocument read(const oci::Descriptor& descriptor, ImagePlace& from) {
    ImageDocument out = document_of(from.document(descriptor));
    if (out.descriptor.digest != descriptor.digest)
      throw Error(ErrorCode::corrupt, cat(from.name(), ": the manifest has the digest ", out.descriptor.digest.str(),
                                          " instead of ", descriptor.digest.str()));
    return out;
  }

  /// Foreign layers stay where their URLs lead, and other places need not have them.
  void add_blob(const oci::Descriptor& descriptor, ImagePlace& from) {
    refuse_sha512(descriptor);
    if (!descriptor.urls.empty()) return;
    blobs_.try_emplace(descriptor.digest, Blob{descriptor, &from});
  }

  void collect_referrers(ImagePlace& from) {
    const std::vector<ImageDocument> subjects = documents_;  // those of artifacts are not looked for
    for (const ImageDocument& subject : subjects) {
      for (const Referrer& found : from.referrers(subject.descriptor.digest)) {
        ImageDocument artifact = read(found.descriptor, from);
        const bool fresh = artifact_digests_.insert(artifact.descriptor.digest).second;
        if (!fresh && found.tag.empty()) continue;
        const auto parsed = oci::parse_manifest(artifact.body);
        const auto* manifest = std::get_if<oci::Manifest>(&parsed);
        if (manifest == nullptr) continue;  // no artifact is an index
        add_blob(manifest->config, from);
        for (const oci::Descriptor& layer : manifest->layers) add_blob(layer, from);
        artifacts_.emplace_back(std::move(artifact), found.tag);
      }
    }
  }

  void move_blobs() {
    std::vector<const Blob*> jobs;
    for (const auto& [digest, blob] : blobs_) jobs.push_back(&blob);
    run_transfers(jobs.size(), [&](std::size_t i) {
      const Blob& blob = *jobs[i];
      const bool moved = to_.take_blob(blob.descriptor, *blob.from);
      if (moved) {
        ++moved_blobs_;
        moved_bytes_ += blob.descriptor.size;
      }
      if (options_.told) options_.told(blob.descriptor, moved);
    });
  }

  const SourceOf& source_of_;
  ImagePlace& to_;
  const CopyOptions& options_;
  std::set<Digest> seen_, artifact_digests_;
  std::vector<ImageDocument> documents_;
  std::vector<std::pair<ImageDocument, std::string>> artifacts_;
  std::map<Digest, Blob> blobs_;
  std::atomic<std::uint64_t> moved_blobs_ = 0, moved_bytes_ = 0;
};

std::string platforms_of(const oci::Index& index) {
  std::vector<std::string> names;
  for (const oci::Descriptor& entry : index.manifests)
    if (entry.platform && !oci::is_attestation(entry)) names.push_back(oci::normalize(*entry.platform).str());
  return names.empty() ? "none" : join(names, ", ");
}

/// An entry of the index that is for `wanted`; unlike select_platform() never one that does not say its platform.
const oci::Descriptor& entry_for(const oci::Index& index, const oci::Platform& wanted, const std::string& name) {
  const oci::Descriptor* entry = oci::select_platform(index, wanted);
  if (entry != nullptr && entry->platform) return *entry;
  throw Error(ErrorCode::not_found,
              cat(name, " has no image for ", wanted.str(), "; its platforms: ", platforms_of(index)));
}

ImageDocument check_single(ImageDocument image, const oci::Manifest& manifest, ImagePlace& from,
                           const std::vector<oci::Platform>& platforms) {
  const oci::Platform own = oci::parse_image_config(from.small_blob(manifest.config)).platform;
  if (platforms.size() == 1 && oci::match_score(platforms[0], own) > 0) return image;
  throw Error(ErrorCode::not_found, cat(from.name(), " is an image for ", own.str(), " only"));
}

}  // namespace

ImageDocument chosen_image(ImagePlace& from, const std::vector<oci::Platform>& platforms) {
  ImageDocument image = from.root();
  if (platforms.empty()) return image;
  const auto parsed = oci::parse_manifest(image.body, {}, oci::Digests::any);
  if (const auto* manifest = std::get_if<oci::Manifest>(&parsed))
    return check_single(std::move(image), *manifest, from, platforms);
  const auto& index = std::get<oci::Index>(parsed);
  std::set<Digest> wanted;
  for (const oci::Platform& platform : platforms) wanted.insert(entry_for(index, platform, from.name()).digest);
  if (wanted.size() == 1) {
    const oci::Descriptor& entry = entry_for(index, platforms[0], from.name());
    return document_of(from.document(entry));
  }
  oci::Index part = index;
  std::erase_if(part.manifests, [&](const oci::Descriptor& entry) {
    const std::optional<Digest> about = attested_manifest(entry);
    return !wanted.contains(entry.digest) && !(about && wanted.contains(*about));
  });
  return document_of(oci::to_json(part));
}

CopyResult copy_image(ImagePlace& from, ImagePlace& to, const CopyOptions& options) {
  const SourceOf source_of = [&](const Digest&) -> ImagePlace& { return from; };
  return copy_assembled(chosen_image(from, options.platforms), source_of, to, options);
}

CopyResult copy_assembled(const ImageDocument& image, const SourceOf& source_of, ImagePlace& to,
                          const CopyOptions& options) {
  try {
    return Copy(source_of, to, options).run(image);
  } catch (Error& error) {
    throw error.add_context(cat("copy to ", to.name()));
  }
}

}  // namespace cbuild::exporter
