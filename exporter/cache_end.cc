// SPDX-License-Identifier: Apache-2.0
#include "exporter/cache_end.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/image_config.h"
#include "oci/layout.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

constexpr std::size_t kMaxManifest = 4u << 20;
constexpr unsigned kMaxIndexDepth = 4;
constexpr std::string_view kBuildkitCacheType = "application/vnd.buildkit.cacheconfig.";
constexpr char kBuildkitInlineKey[] = "moby.buildkit.cache.v0";
constexpr char kRefName[] = "org.opencontainers.image.ref.name";

void check_size(const oci::Descriptor& descriptor) {
  if (descriptor.size > cache::kMaxRemoteIndex)
    throw Error(ErrorCode::corrupt, cat("the cache index is larger than ", cache::kMaxRemoteIndex, " bytes"));
}

class RegistryEnd final : public CacheEnd {
 public:
  RegistryEnd(oci::registry::Client& client, cache::Store& store, const std::string& ref)
      : client_(client), store_(store), reference_(oci::parse_reference(ref)) {}

  std::string name() const override { return "registry " + reference_.familiar(); }
  std::string locator() const override { return "docker-image://" + reference_.str(); }

  std::string manifest(const std::optional<Digest>& digest) override {
    oci::Reference wanted = reference_;
    if (digest) {
      wanted.tag.clear();
      wanted.digest = digest;
    }
    return client_.manifest(wanted).body;
  }

  std::string document(const oci::Descriptor& descriptor) override {
    check_size(descriptor);
    client_.fetch_blob(reference_, descriptor, store_.blobs());
    return oci::read_blob(store_.blobs(), descriptor.digest, cache::kMaxRemoteIndex);
  }

  void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& from) override {
    client_.push_blob(reference_, descriptor, store_.blobs(), from);
  }
  bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>& from) override {
    return client_.offer_blob(reference_, descriptor, from);
  }
  void put_manifest(std::string_view body) override {
    client_.push_manifest(reference_, oci::media_type::kManifest, body);
  }

 private:
  oci::registry::Client& client_;
  cache::Store& store_;
  const oci::Reference reference_;
};

/// What a manifest needs, itself and its config included.
std::set<Digest> blobs_of(oci::BlobStore& blobs, const Digest& manifest) {
  std::set<Digest> out = {manifest};
  const auto document = oci::parse_manifest(oci::read_blob(blobs, manifest, kMaxManifest));
  if (const auto* index = std::get_if<oci::Index>(&document)) {
    for (const oci::Descriptor& entry : index->manifests) out.merge(blobs_of(blobs, entry.digest));
    return out;
  }
  const auto& image = std::get<oci::Manifest>(document);
  out.insert(image.config.digest);
  for (const oci::Descriptor& layer : image.layers) out.insert(layer.digest);
  return out;
}

class LayoutEnd final : public CacheEnd {
 public:
  LayoutEnd(cache::Store& store, const CacheSpec& spec)
      : store_(store), directory_(absolute(spec.directory)), tag_(spec.tag), digest_(spec.digest) {}

  std::string name() const override { return "directory " + directory_; }
  std::string locator() const override { return "oci-layout://" + directory_; }

  std::string manifest(const std::optional<Digest>& digest) override {
    oci::ImageLayout layout = oci::ImageLayout::open(directory_);
    const auto wanted = digest ? digest : digest_;
    const Digest found = wanted ? *wanted : layout.find(tag_).digest;
    return oci::read_blob(layout.blobs(), found, kMaxManifest);
  }

  std::string document(const oci::Descriptor& descriptor) override {
    check_size(descriptor);
    oci::ImageLayout layout = oci::ImageLayout::open(directory_);
    return oci::read_blob(layout.blobs(), descriptor.digest, cache::kMaxRemoteIndex);
  }

  void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>&) override {
    writing([&] {
      oci::BlobStore& blobs = target().blobs();
      if (blobs.size(descriptor.digest) != descriptor.size) oci::copy_blob(store_.blobs(), blobs, descriptor);
    });
  }
  bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>&) override {
    return target().blobs().size(descriptor.digest) == descriptor.size;
  }

  void put_manifest(std::string_view body) override {
    writing([&] { replace_manifest(body); });
  }

 private:
  void replace_manifest(std::string_view body) {
    oci::ImageLayout& layout = target();
    oci::Descriptor entry = oci::put_blob(layout.blobs(), body, std::string(oci::media_type::kManifest));
    entry.annotations[kRefName] = tag_;
    oci::Index index = layout.index();
    std::vector<Digest> replaced;
    std::erase_if(index.manifests, [&](const oci::Descriptor& old) {
      const auto name = old.annotations.find(kRefName);
      const bool same = name != old.annotations.end() && name->second == tag_;
      if (same) replaced.push_back(old.digest);
      return same;
    });
    index.manifests.push_back(entry);
    layout.write_index(index);
    remove_replaced(layout, index, replaced);
  }

  /// What fails for lack of space fails here, and not in the store.
  void writing(const std::function<void()>& action) const {
    try {
      action();
    } catch (Error& error) {
      name_full_disk(error, directory_, directory_);
      throw;
    }
  }

  static std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return clean_path(path);
    char buffer[4096];
    if (::getcwd(buffer, sizeof buffer) == nullptr) throw_errno(errno, "getcwd");
    return join_path(buffer, path);
  }

  oci::ImageLayout& target() {
    const std::lock_guard lock(mutex_);
    if (!target_) target_.emplace(oci::ImageLayout::create(directory_));
    return *target_;
  }

  /// Only what the replaced manifest alone needed: a directory that is exported to again and again does not grow.
  void remove_replaced(oci::ImageLayout& layout, const oci::Index& index, const std::vector<Digest>& replaced) const {
    try {
      std::set<Digest> needed;
      for (const oci::Descriptor& entry : index.manifests) needed.merge(blobs_of(layout.blobs(), entry.digest));
      for (const Digest& manifest : replaced)
        for (const Digest& blob : blobs_of(layout.blobs(), manifest))
          if (!needed.contains(blob)) ::unlink(join_path(directory_, cat("blobs/sha256/", blob.hex())).c_str());
    } catch (const Error&) {
      // Something there cannot be read: rather too much is kept than too little.
    }
  }

  cache::Store& store_;
  const std::string directory_, tag_;
  const std::optional<Digest> digest_;
  std::mutex mutex_;  // guards target_
  std::optional<oci::ImageLayout> target_;
};

/// An inline index names layers by diff id only; the image's manifest says where they are.
void fill_blobs(cache::RemoteIndex& index, const oci::ImageConfig& config, const oci::Manifest& manifest) {
  const std::size_t count = std::min(config.diff_ids.size(), manifest.layers.size());
  for (cache::RemoteIndex::LayerEntry& layer : index.layers) {
    if (!layer.blob.digest.empty()) continue;
    for (std::size_t i = 0; i < count; ++i)
      if (config.diff_ids[i] == layer.diff_id) layer.blob = manifest.layers[i];
  }
}

cache::RemoteIndex index_of(CacheEnd& end, const oci::Manifest& manifest) {
  const std::string text = end.document(manifest.config);
  if (manifest.config.media_type == cache::kRemoteIndexType) return cache::parse_remote_index(text);
  const oci::ImageConfig config = oci::parse_image_config(text);
  const auto inline_cache = config.extra.find(cache::kInlineCacheKey);
  if (inline_cache == config.extra.end() && config.extra.contains(kBuildkitInlineKey))
    throw Error(ErrorCode::unsupported, "the image carries a cache of BuildKit, which cbuild does not read");
  if (inline_cache == config.extra.end()) throw Error(ErrorCode::not_found, "the image carries no cache");
  cache::RemoteIndex index = cache::parse_remote_index(inline_cache->second);
  fill_blobs(index, config, manifest);
  return index;
}

}  // namespace

bool is_buildkit_cache(const std::variant<oci::Manifest, oci::Index>& document) {
  const auto is_config = [](const oci::Descriptor& entry) { return entry.media_type.starts_with(kBuildkitCacheType); };
  if (const auto* manifest = std::get_if<oci::Manifest>(&document)) return is_config(manifest->config);
  const std::vector<oci::Descriptor>& entries = std::get<oci::Index>(document).manifests;
  return std::any_of(entries.begin(), entries.end(), is_config);
}

std::unique_ptr<CacheEnd> registry_end(oci::registry::Client& client, cache::Store& store, const std::string& ref) {
  return std::make_unique<RegistryEnd>(client, store, ref);
}

std::unique_ptr<CacheEnd> layout_end(cache::Store& store, const CacheSpec& spec) {
  return std::make_unique<LayoutEnd>(store, spec);
}

cache::RemoteDocument read_cache(CacheEnd& end, const oci::Platform& platform) {
  std::string body = end.manifest(std::nullopt);
  for (unsigned depth = 0; depth < kMaxIndexDepth; ++depth) {
    const auto document = oci::parse_manifest(body);
    if (is_buildkit_cache(document))
      throw Error(ErrorCode::unsupported, "it is a cache of BuildKit, which cbuild does not read")
          .with_hint("export one with cbuild build --cache-to, under a name of its own");
    if (const auto* manifest = std::get_if<oci::Manifest>(&document)) return {index_of(end, *manifest), end.locator()};
    const oci::Descriptor* chosen = oci::select_platform(std::get<oci::Index>(document), platform);
    if (chosen == nullptr) throw Error(ErrorCode::not_found, cat("no image for platform ", platform.str()));
    body = end.manifest(chosen->digest);
  }
  throw Error(ErrorCode::corrupt, "indexes nested too deeply");
}

}  // namespace cbuild::exporter
