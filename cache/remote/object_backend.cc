// SPDX-License-Identifier: Apache-2.0
// A cache as objects: blobs under their digests, one manifest under each name. A name is replaced only if it is what
// was read, so that of two writers the second reads again, and neither loses the other's results.
#include "cache/remote/object_backend.h"

#include <set>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/remote/remote_index.h"

namespace cbuild::cache {
namespace {

constexpr std::size_t kMostManifest = 4u << 20, kMostForeign = 64u << 20;
constexpr std::int64_t kGraceOfObjects_s = 86'400;

class ObjectBackend final : public CacheBackend {
 public:
  ObjectBackend(std::unique_ptr<ObjectStore> objects, ObjectNames names, Store& store)
      : objects_(std::move(objects)), names_(std::move(names)), store_(store) {}

  std::string name() const override { return names_.shown; }
  std::string locator() const override { return names_.locator; }
  bool keeps_named_blobs() const override { return false; }  // rules of a bucket remove by age
  bool renews_manifest() const override { return names_.renews_manifest; }

  /// Of one name; a manifest is found by its digest if that name leads to it.
  std::string manifest(const std::optional<Digest>& digest) override {
    const std::string name = names_.manifests + names_.names.front();
    auto found = objects_->get(name, kMostManifest);
    if (!digest) version_ = found ? found->version : std::string();
    if (!found || (digest && sha256(found->content) != *digest))
      throw Error(ErrorCode::not_found, cat(names_.shown, ": there is no ", name));
    return std::move(found->content);
  }

  std::string document(const oci::Descriptor& descriptor) override {
    check_document_size(descriptor);
    if (store_.blobs().size(descriptor.digest) != descriptor.size) fetch_blob(descriptor, store_.blobs(), nullptr);
    return oci::read_blob(store_.blobs(), descriptor.digest, kMaxRemoteIndex);
  }

  void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>&) override {
    const UniqueFd file = store_.blobs().open(descriptor.digest);
    if (offer_blob(descriptor, std::nullopt)) return;
    objects_->put(name_of(descriptor), {file.get(), descriptor.size, descriptor.digest});
  }

  bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>&) override {
    const std::string name = name_of(descriptor);
    const auto status = objects_->status(name);
    if (!status || status->size != descriptor.size) return false;
    if (status->modified_s && now_s() - *status->modified_s > names_.touch_refresh_s)
      objects_->touch(name, descriptor.size);
    return true;
  }

  bool put_manifest(std::string_view body) override {
    const std::string text(body);
    if (!objects_->put_if(names_.manifests + names_.names.front(), text, version_)) return false;
    for (std::size_t i = 1; i < names_.names.size(); ++i) put_copy(names_.manifests + names_.names[i], text);
    return true;
  }

  // An export renews what it finds, if it is older than touch_refresh_s, and ends within a day: an older blob that no
  // manifest names is not about to be named. Manifests are read after blobs are listed. A manifest of another program
  // counts, too, whatever it is: a digest anywhere in it names the blob.
  void collect() override {
    if (!names_.collects) return;
    auto blobs = objects_->list(names_.blobs);
    if (!blobs) return;
    const std::int64_t before_s = now_s() - names_.touch_refresh_s - kGraceOfObjects_s;
    std::erase_if(*blobs, [&](const ObjectStore::Listed& blob) { return blob.modified_s >= before_s; });
    if (blobs->empty()) return;
    const std::set<std::string> named = named_digests();
    for (const ObjectStore::Listed& blob : *blobs) {
      const std::string digest = blob.name.substr(names_.blobs.size());
      if (Digest::parse(digest) && !named.contains(digest)) objects_->remove_unchanged(blob);
    }
  }

  void fetch_blob(const oci::Descriptor& descriptor, oci::BlobStore& into, const BytesTold& progress) override {
    if (into.size(descriptor.digest) == descriptor.size) return;
    const auto make = [&]() -> std::unique_ptr<BlobWriter> {
      return std::make_unique<VerifyingWriter>(into.create(), descriptor);
    };
    const auto told = [&](std::uint64_t bytes, std::uint64_t) {
      if (progress) progress(bytes, descriptor.size);
    };
    objects_->fetch(name_of(descriptor), make, told);
  }

 private:
  /// Refuses other content than the blob's, and more of it.
  class VerifyingWriter final : public BlobWriter {
   public:
    VerifyingWriter(std::unique_ptr<BlobWriter> to, const oci::Descriptor& descriptor)
        : to_(std::move(to)), descriptor_(descriptor) {}
    void write(std::span<const std::byte> data) override {
      written_ += data.size();
      if (written_ > descriptor_.size)
        throw Error(ErrorCode::corrupt,
                    cat("blob ", descriptor_.name(), " is longer than ", descriptor_.size, " bytes"));
      to_->write(data);
    }
    Digest commit(const Digest&, std::optional<std::uint64_t>) override {
      return to_->commit(descriptor_.digest, descriptor_.size);
    }

   private:
    const std::unique_ptr<BlobWriter> to_;
    const oci::Descriptor& descriptor_;
    std::uint64_t written_ = 0;
  };

  std::int64_t now_s() const { return names_.now_s ? names_.now_s() : sys::now_ns() / 1'000'000'000; }

  /// Throws Error if a manifest cannot be read: then nothing may be removed.
  std::set<std::string> named_digests() {
    std::set<std::string> out;
    const auto manifests = objects_->list(names_.manifests);
    for (const ObjectStore::Listed& manifest : *manifests) {
      const auto object = objects_->get(manifest.name, kMostForeign);
      if (!object) continue;  // removed meanwhile
      constexpr std::string_view kAlgorithm = "sha256:";
      constexpr std::size_t kDigest = kAlgorithm.size() + 64;
      const std::string& text = object->content;
      for (std::size_t at = text.find(kAlgorithm); at != std::string::npos; at = text.find(kAlgorithm, at + 1))
        if (at + kDigest <= text.size()) out.insert(text.substr(at, kDigest));
    }
    return out;
  }

  std::string name_of(const oci::Descriptor& descriptor) const { return names_.blobs + descriptor.digest.str(); }

  /// The other names have what the first one has: the last export that wrote that.
  void put_copy(const std::string& name, const std::string& text) {
    constexpr int kMostTries = 10;
    for (int i = 0; i < kMostTries; ++i) {
      const auto there = objects_->get(name, kMostManifest);
      if (there && there->content == text) return;
      if (objects_->put_if(name, text, there ? there->version : std::string())) return;
    }
    throw Error(ErrorCode::network, cat(names_.shown, ": other builds write ", name, " all the time"));
  }

  const std::unique_ptr<ObjectStore> objects_;
  const ObjectNames names_;
  Store& store_;
  std::string version_;  ///< of the manifest that was read last
};

}  // namespace

std::unique_ptr<CacheBackend> object_backend(std::unique_ptr<ObjectStore> objects, ObjectNames names, Store& store) {
  return std::make_unique<ObjectBackend>(std::move(objects), std::move(names), store);
}

}  // namespace cbuild::cache
