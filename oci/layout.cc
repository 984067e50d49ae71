// SPDX-License-Identifier: Apache-2.0
// An OCI image layout in a directory: its blobs as a BlobStore, its index, and the search for an image by name, tag,
// digest, or simply the newest. The directory may be somebody else's: links are not followed, only regular files are
// read, and opening one never waits. New blobs are written under a temporary name and renamed.
#include "oci/layout.h"

#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/json.h"
#include "oci/sha512.h"
#include "oci/table_annotations.h"

namespace cbuild::oci {

namespace {

constexpr std::size_t kMaxIndex = 4u << 20;
constexpr char kRefName[] = "org.opencontainers.image.ref.name";
constexpr char kImageName[] = "io.containerd.image.name";
constexpr char kCreated[] = "org.opencontainers.image.created";

/// Below "blobs".
std::string place_of(const Digest& digest) { return "sha256/" + digest.hex(); }

/// A file below the layout's root that becomes blobs/sha256/<hex> on commit.
class FileWriter final : public BlobWriter {
 public:
  FileWriter(int root, int blobs) : root_(root), blobs_(blobs) {
    static std::atomic<unsigned> counter;
    name_ = cat(".ingest-", ::getpid(), '-', sys::monotonic_ns(), '-', counter.fetch_add(1));
    file_ = sys::open_at(root_, name_, O_WRONLY | O_CREAT | O_EXCL, 0644);
  }
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter() override {
    if (!name_.empty()) ::unlinkat(root_, name_.c_str(), 0);
  }

  void write(std::span<const std::byte> data) override {
    hash_.update(data);
    sys::write_all(file_.get(), {reinterpret_cast<const char*>(data.data()), data.size()});
    size_ += data.size();
  }

  Digest commit(const Digest& expected, std::optional<std::uint64_t> expected_size) override {
    const Digest digest = hash_.finish();
    check_written(digest, size_, expected, expected_size);
    file_.close_checked();
    sys::rename_at(root_, name_, blobs_, place_of(digest));
    name_.clear();
    return digest;
  }

 private:
  int root_, blobs_;
  std::string name_;
  UniqueFd file_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
};

class DirectoryBlobStore final : public BlobStore {
 public:
  DirectoryBlobStore(UniqueFd root, UniqueFd blobs) : root_(std::move(root)), blobs_(std::move(blobs)) {}

  std::optional<std::uint64_t> size(const Digest& digest) override {
    const auto status = sys::try_stat_at(blobs_.get(), place_of(digest));
    if (!status || !S_ISREG(status->st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(status->st_size);
  }

  UniqueFd open(const Digest& digest) override {
    auto fd = sys::try_open_at(blobs_.get(), place_of(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd) throw Error(ErrorCode::not_found, "no blob " + digest.str() + " in the image layout");
    if (!S_ISREG(sys::stat_fd(fd->get()).st_mode)) throw Error(ErrorCode::corrupt, digest.str() + " is not a file");
    return std::move(*fd);
  }

  std::unique_ptr<BlobWriter> create() override { return std::make_unique<FileWriter>(root_.get(), blobs_.get()); }

 private:
  UniqueFd root_, blobs_;
};

void check_version(int dir) {
  const nlohmann::json document =
      json::parse_object(sys::read_file_at(dir, "oci-layout", 64u << 10), 64u << 10, "oci-layout");
  const std::string version = json::text(document, "imageLayoutVersion");
  if (!version.starts_with("1.")) {
    throw Error(ErrorCode::corrupt, "oci-layout: version " + go_quote(version) + " is not known");
  }
}

void require(int dir, const char* name) {
  if (!sys::try_stat_at(dir, name, 0)) throw Error(ErrorCode::not_found, cat(name, " is missing"));
}

/// "1.0" of "example.com/app:1.0".
std::string_view tag_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  return colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
}

std::string describe(const Index& index) {
  std::string out;
  for (const Descriptor& entry : index.manifests) {
    const std::string full = annotation(entry, kImageName), name = annotation(entry, kRefName);
    out += (out.empty() ? "" : ", ") + (!full.empty() ? full : !name.empty() ? name : entry.name());
  }
  return out.empty() ? "nothing" : sanitize_for_terminal(out);
}

const Descriptor* newest(const Index& index) {
  const Descriptor* best = nullptr;
  for (const Descriptor& entry : index.manifests) {
    if (is_attestation(entry)) continue;
    if (best == nullptr || annotation(entry, kCreated) >= annotation(*best, kCreated)) best = &entry;
  }
  return best;
}

const Descriptor* by_name(const Index& index, std::string_view wanted) {
  for (const char* key : {kImageName, kRefName}) {
    for (const Descriptor& entry : index.manifests) {
      if (annotation(entry, key) == wanted) return &entry;
    }
  }
  for (const char* key : {kImageName, kRefName}) {
    for (const Descriptor& entry : index.manifests) {
      const std::string name = annotation(entry, key);
      if (!name.empty() && tag_of(name) == wanted) return &entry;
    }
  }
  return nullptr;
}

/// A manifest below an index of the layout is not an entry of index.json, but can be named by its digest.
std::optional<Descriptor> by_digest(const Index& index, BlobStore& blobs, std::string_view text) {
  const std::optional<Digest> digest = Digest::parse(text);
  if (!digest && !is_sha512(text)) throw Error(ErrorCode::input, "not a sha256 or sha512 digest: " + go_quote(text));
  for (const Descriptor& entry : index.manifests) {
    if (entry.name() == text) return entry;
  }
  if (!digest || !blobs.size(*digest)) return std::nullopt;
  const std::string body = read_blob(blobs, *digest, kMaxIndex);
  Descriptor out;
  out.media_type =
      std::visit([](const auto& parsed) { return parsed.media_type; }, parse_manifest(body, {}, Digests::any));
  out.digest = *digest;
  out.size = body.size();
  return out;
}

}  // namespace

ImageLayout::ImageLayout(UniqueFd dir) : dir_(std::move(dir)) {
  blobs_ = std::make_unique<DirectoryBlobStore>(sys::open_at(dir_.get(), ".", O_RDONLY | O_DIRECTORY),
                                                sys::open_at(dir_.get(), "blobs", O_RDONLY | O_DIRECTORY));
}

UniqueFd ImageLayout::open_blob(const Descriptor& blob) {
  if (blob.sha512.empty()) return blobs_->open(blob.digest);
  const std::string path = cat("blobs/sha512/", std::string_view(blob.sha512).substr(7));
  auto fd = sys::try_open_at(dir_.get(), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) throw Error(ErrorCode::not_found, "no blob " + blob.sha512 + " in the image layout");
  if (!S_ISREG(sys::stat_fd(fd->get()).st_mode)) throw Error(ErrorCode::corrupt, blob.sha512 + " is not a file");
  return std::move(*fd);
}

ImageLayout ImageLayout::open(const std::string& path) {
  try {
    UniqueFd dir = sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    for (const char* name : {"oci-layout", "index.json", "blobs"}) require(dir.get(), name);
    check_version(dir.get());
    return ImageLayout(std::move(dir));
  } catch (Error& e) {
    e.add_context("OCI image layout " + path);
    throw;
  }
}

ImageLayout ImageLayout::create(const std::string& path) {
  sys::mkdir_all(AT_FDCWD, join_path(path, "blobs/sha256"), 0755);
  UniqueFd dir = sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  if (sys::try_stat_at(dir.get(), "oci-layout")) {
    check_version(dir.get());
  } else {
    sys::write_file_at(dir.get(), "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  }
  return ImageLayout(std::move(dir));
}

Index ImageLayout::index() const {
  if (!sys::try_stat_at(dir_.get(), "index.json", 0)) return {};
  auto parsed = parse_manifest(sys::read_file_at(dir_.get(), "index.json", kMaxIndex), {}, Digests::any);
  if (!std::holds_alternative<Index>(parsed)) throw Error(ErrorCode::corrupt, "index.json is not an image index");
  return std::get<Index>(std::move(parsed));
}

void ImageLayout::write_index(const Index& index) {
  sys::write_file_at(dir_.get(), "index.json", to_compact_json(index));
}

Descriptor ImageLayout::find(const std::string& selector) const {
  const Index all = index();
  if (selector.starts_with('@')) {
    if (auto found = by_digest(all, *blobs_, std::string_view(selector).substr(1))) return *std::move(found);
  } else if (const Descriptor* found = selector.empty() ? newest(all) : by_name(all, selector)) {
    return *found;
  }
  throw Error(ErrorCode::not_found, cat("no image ", selector.empty() ? "in" : go_quote(selector) + " in",
                                        " the OCI image layout; it holds ", describe(all)));
}

}  // namespace cbuild::oci
