// SPDX-License-Identifier: Apache-2.0
// type=local, a row of backend.h: an OCI layout directory, whose index.json names caches by tag. An export replaces the
// manifest of its tag and removes blobs that only the old one needed. Both are done under a lock, which exports of
// other tags wait for, and only if all blobs of the new manifest are there: a blob that another tag's export removed
// since it was seen is put again. Blobs that no manifest has named for a day are removed, too.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/remote/backend.h"
#include "cache/remote/remote_index.h"
#include "oci/layout.h"
#include "oci/manifest.h"

namespace cbuild::cache {
namespace {

constexpr std::size_t kMaxManifest = 4u << 20;
constexpr char kLockFile[] = "index.json.lock";  ///< BuildKit's, too
constexpr std::int64_t kGrace_s = 86'400;        ///< no export takes as long
constexpr char kRefName[] = "org.opencontainers.image.ref.name";

/// The blobs of a manifest, itself and its config included.
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

class LayoutBackend final : public CacheBackend {
 public:
  LayoutBackend(Store& store, const CacheSpec& spec, const std::string& directory)
      : store_(store),
        directory_(absolute(directory)),
        tag_(spec.attribute("tag", "latest")),
        digest_(Digest::parse(spec.attribute("digest"))) {}

  std::string name() const override { return "directory " + directory_; }
  std::string locator() const override { return "oci-layout://" + directory_; }

  std::string manifest(const std::optional<Digest>& digest) override {
    oci::ImageLayout layout = oci::ImageLayout::open(directory_);
    const auto wanted = digest ? digest : digest_;
    if (!digest) asked_ = true, read_.reset();
    const Digest found = wanted ? *wanted : layout.find(tag_).digest;
    if (!digest) read_ = found;
    return oci::read_blob(layout.blobs(), found, kMaxManifest);
  }

  std::string document(const oci::Descriptor& descriptor) override {
    check_document_size(descriptor);
    oci::ImageLayout layout = oci::ImageLayout::open(directory_);
    return oci::read_blob(layout.blobs(), descriptor.digest, kMaxRemoteIndex);
  }

  void put_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>&) override {
    writing([&] {
      if (!offer_blob(descriptor, std::nullopt)) oci::copy_blob(store_.blobs(), target().blobs(), descriptor);
    });
  }
  bool offer_blob(const oci::Descriptor& descriptor, const std::optional<oci::Reference>&) override {
    if (target().blobs().size(descriptor.digest) != descriptor.size) return false;
    ::utimensat(AT_FDCWD, path_of(descriptor.digest).c_str(), nullptr, AT_SYMLINK_NOFOLLOW);  // against collectors
    return true;
  }

  bool put_manifest(std::string_view body) override {
    bool done = false;
    writing([&] {
      target();
      const UniqueFd directory = sys::open_at(AT_FDCWD, directory_, O_PATH | O_DIRECTORY);
      const auto lock = FileLock::wait(directory.get(), kLockFile, FileLock::Mode::exclusive);
      if ((asked_ && present() != read_) || !has_blobs(body)) return;
      replace_manifest(body);
      done = true;
    });
    return done;
  }

  /// Blobs that no manifest needs, of exports that did not come to their end.
  void collect() override {
    oci::ImageLayout& layout = target();
    const UniqueFd directory = sys::open_at(AT_FDCWD, directory_, O_PATH | O_DIRECTORY);
    const auto lock = FileLock::wait(directory.get(), kLockFile, FileLock::Mode::exclusive);
    const std::set<Digest> needed = needed_blobs(layout, layout.index());
    const std::int64_t before_s = sys::now_ns() / 1'000'000'000 - kGrace_s;
    const UniqueFd blobs = sys::open_at(directory.get(), "blobs/sha256", O_RDONLY | O_DIRECTORY);
    for (const std::string& name : sys::list_dir(blobs.get())) {
      const auto digest = Digest::from_hex(name);
      if (!digest || needed.contains(*digest)) continue;
      const auto found = sys::try_stat_at(blobs.get(), name, AT_SYMLINK_NOFOLLOW);
      if (found && S_ISREG(found->st_mode) && found->st_mtim.tv_sec < before_s)
        ::unlinkat(blobs.get(), name.c_str(), 0);
    }
  }

 private:
  std::string path_of(const Digest& blob) const { return join_path(directory_, cat("blobs/sha256/", blob.hex())); }

  /// The manifest that the tag has now.
  std::optional<Digest> present() {
    try {
      return target().find(tag_).digest;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      return std::nullopt;
    }
  }

  /// Whether the blobs of a manifest are there: those of other tags may have gone since they were seen. Throws
  /// Error{not_found} for one that the present manifest names, too: the directory has lost it.
  bool has_blobs(std::string_view body) {
    oci::BlobStore& blobs = target().blobs();
    const auto document = oci::parse_manifest(body);
    const auto* manifest = std::get_if<oci::Manifest>(&document);
    if (manifest == nullptr) return true;
    std::vector<oci::Descriptor> all = manifest->layers;
    all.push_back(manifest->config);
    for (const oci::Descriptor& blob : all) {
      if (blobs.size(blob.digest)) continue;
      if (read_ && blobs_of(blobs, *read_).contains(blob.digest))
        throw Error(ErrorCode::not_found, cat(name(), " has lost blob ", blob.digest.str()));
      return false;
    }
    return true;
  }

  static std::set<Digest> needed_blobs(oci::ImageLayout& layout, const oci::Index& index) {
    std::set<Digest> needed;
    for (const oci::Descriptor& entry : index.manifests) needed.merge(blobs_of(layout.blobs(), entry.digest));
    return needed;
  }

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

  /// Names this directory's disk when it is full, not the store's.
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

  /// Only blobs that the replaced manifest alone needed: a directory that is exported to again and again does not grow.
  void remove_replaced(oci::ImageLayout& layout, const oci::Index& index, const std::vector<Digest>& replaced) const {
    try {
      const std::set<Digest> needed = needed_blobs(layout, index);
      for (const Digest& manifest : replaced)
        for (const Digest& blob : blobs_of(layout.blobs(), manifest))
          if (!needed.contains(blob)) ::unlink(path_of(blob).c_str());
    } catch (const Error&) {
      // Something there cannot be read: rather too much is kept than too little.
    }
  }

  Store& store_;
  const std::string directory_, tag_;
  const std::optional<Digest> digest_;
  std::mutex mutex_;  // guards target_
  std::optional<oci::ImageLayout> target_;
  bool asked_ = false;          ///< manifest() was called for the tag
  std::optional<Digest> read_;  ///< the tag's manifest that manifest() gave last
};

void check_digest(const CacheFlag& flag, const std::string& value) {
  if (!Digest::parse(value)) flag.refuse(cat("digest '", value, "' is not sha256:..."));
}

constexpr BackendKey kLocalKeys[] = {
    {"src", CacheUse::from}, {"dest", CacheUse::to}, {"tag"}, {"digest", CacheUse::from, check_digest}};

void parse_local(CacheSpec& spec, const CacheFlag& flag) {
  if (flag.use == CacheUse::to && spec.attribute("dest").empty()) flag.refuse("type=local needs dest=DIRECTORY");
  if (flag.use == CacheUse::from && spec.attribute("src").empty()) flag.refuse("type=local needs src=DIRECTORY");
}

template <const char* kDirectoryKey>
std::unique_ptr<CacheBackend> open_local(const CacheSpec& spec, const BackendServices& services) {
  return std::make_unique<LayoutBackend>(services.store, spec, spec.attribute(kDirectoryKey));
}

constexpr char kSource[] = "src", kDestination[] = "dest";

}  // namespace

const BackendType kLocalBackend = {.name = "local",
                                   .keys = kLocalKeys,
                                   .parse = parse_local,
                                   .open_import = open_local<kSource>,
                                   .open_export = open_local<kDestination>};

}  // namespace cbuild::cache
