// SPDX-License-Identifier: Apache-2.0
// Images as OCI layouts: a tar or a directory, with docker's manifest.json if wanted. Every blob is verified while it
// is copied.
#include "exporter/archive.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/error.h"
#include "base/output_file.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/blob_verify.h"
#include "oci/layer/tar_writer.h"
#include "oci/layout.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLayoutFile = R"({"imageLayoutVersion":"1.0.0"})";
constexpr char kImageName[] = "io.containerd.image.name", kTagName[] = "org.opencontainers.image.ref.name";
constexpr std::size_t kCopyBuffer = 1u << 20;

std::string blob_path(const Digest& digest) { return cat("blobs/sha256/", digest.hex()); }

/// One entry per name, or one without a name, which has the tag `fallback` if that is not empty; then those that refer
/// to it.
oci::Index layout_index(const ImageSet& images, const std::vector<std::string>& names,
                        const std::string& fallback = {}) {
  oci::Index index;
  for (const std::string& name : names) {
    const oci::Reference reference = oci::parse_reference(name);
    oci::Descriptor entry = images.top();
    entry.annotations[kImageName] = reference.str();
    if (!reference.tag.empty()) entry.annotations[kTagName] = reference.tag;
    index.manifests.push_back(std::move(entry));
  }
  if (names.empty()) {
    index.manifests.push_back(images.top());
    if (!fallback.empty()) index.manifests.back().annotations[kTagName] = fallback;
  }
  for (const BuiltImage& referrer : images.referrers) index.manifests.push_back(referrer.manifest);
  return index;
}

Json docker_image(const BuiltImage& image, const std::vector<std::string>& names) {
  Json entry = Json::object();
  entry["Config"] = blob_path(image.config.digest);
  if (names.empty()) entry["RepoTags"] = nullptr;
  for (const std::string& name : names) {
    const oci::Reference reference = oci::parse_reference(name);
    if (!reference.tag.empty()) entry["RepoTags"].push_back(reference.familiar());
  }
  entry["Layers"] = Json::array();
  for (const oci::Descriptor& layer : image.content.layers) entry["Layers"].push_back(blob_path(layer.digest));
  return entry;
}

/// An entry for each image; an engine that reads this file knows no other manifests.
std::string docker_manifest(const ImageSet& images, const std::vector<std::string>& names) {
  Json entries = Json::array();
  for (const BuiltImage& image : images.manifests)
    if (!oci::is_attestation(image.manifest)) entries.push_back(docker_image(image, names));
  return entries.dump();
}

class ArchiveWriter {
 public:
  ArchiveWriter(cache::Store& store, const ArchiveSink& sink, const std::function<void(std::uint64_t)>& written)
      : store_(store), sink_(sink), tar_(sink.bytes), written_(written) {}

  void directory(const std::string& name) {
    tar_.entry({.name = name, .type = oci::layer::EntryType::directory, .mode = 0755});
  }
  void text(const std::string& name, std::string_view content) {
    tar_.entry({.name = name, .mode = 0644, .size = content.size()});
    tar_.data(std::as_bytes(std::span(content)));
  }
  void blob(const oci::Descriptor& descriptor) {
    const UniqueFd fd = store_.blobs().open(descriptor.digest);
    tar_.entry({.name = blob_path(descriptor.digest), .mode = 0644, .size = descriptor.size});
    const bool by_file = sink_.file && descriptor.size > kCopyBuffer;
    const Digest found = by_file ? copy_file(fd.get(), descriptor.size) : copy_bytes(fd.get(), descriptor);
    verify_blob(store_, descriptor.digest, found);
  }
  void finish() { tar_.finish(); }

 private:
  /// Both give the digest of what was copied.
  Digest copy_bytes(int fd, const oci::Descriptor& descriptor) {
    std::vector<std::byte> buffer(kCopyBuffer);
    std::uint64_t left = descriptor.size;
    Sha256 hash;
    while (left > 0) {
      const std::size_t got = sys::read_some(fd, std::span(buffer).first(std::min<std::uint64_t>(left, buffer.size())));
      if (got == 0) throw Error(ErrorCode::corrupt, cat("blob ", descriptor.digest.str(), " is shorter than recorded"));
      hash.update(std::span(buffer).first(got));
      tar_.data(std::span(buffer).first(got));
      left -= got;
      if (written_) written_(got);
    }
    return hash.finish();
  }

  /// The kernel copies while another core digests. Blobs of the store are never written to, so it is the same content.
  Digest copy_file(int fd, std::uint64_t size) {
    Digest digest;
    run_at_once(2, 2, [&](std::size_t part) {
      part == 0 ? sink_.file(fd, size, written_) : static_cast<void>(digest = sha256_fd(fd));
    });
    tar_.data_written(size);
    return digest;
  }

  cache::Store& store_;
  const ArchiveSink& sink_;
  oci::layer::TarWriter tar_;
  const std::function<void(std::uint64_t)>& written_;
};

void link_or_copy(cache::Store& store, const oci::Descriptor& descriptor, int target_dir) {
  const std::string path = blob_path(descriptor.digest);
  if (sys::try_stat_at(target_dir, path)) return;
  verify_blob(store, descriptor.digest);
  const UniqueFd from = store.blobs().open(descriptor.digest);
  if (linkat(AT_FDCWD, sys::fd_path(from.get()).c_str(), target_dir, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return;
  const std::string temporary = path + ".part";
  UniqueFd to = sys::open_at(target_dir, temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  sys::copy_file_data(from.get(), to.get(), descriptor.size);
  to.close_checked();
  sys::rename_at(target_dir, temporary, target_dir, path);
}

/// The image that a manifest next to it is about; empty for an image.
std::string subject_of(const oci::Descriptor& entry) {
  const auto found = entry.annotations.find("vnd.docker.reference.digest");
  return found == entry.annotations.end() ? std::string() : found->second;
}

/// Whether `entry` takes the place of `old` in an index: both have one name, or one tag and no name, or none; or both
/// are about one image.
bool replaces(const oci::Descriptor& entry, const oci::Descriptor& old) {
  const auto name = entry.annotations.find(kImageName);
  const auto old_name = old.annotations.find(kImageName);
  if (subject_of(entry) != subject_of(old)) return false;
  if (old_name != old.annotations.end()) return name != entry.annotations.end() && name->second == old_name->second;
  const auto tag = entry.annotations.find(kTagName), old_tag = old.annotations.find(kTagName);
  if (old_tag != old.annotations.end())  // perhaps another tool's
    return name == entry.annotations.end() && tag != entry.annotations.end() && tag->second == old_tag->second;
  return name == entry.annotations.end() || old.digest == entry.digest;
}

void add_to_layout(cache::Store& store, const ImageSet& images, const std::vector<std::string>& names,
                   const std::string& directory) {
  oci::ImageLayout layout = oci::ImageLayout::create(directory);
  const UniqueFd dir = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  for (const oci::Descriptor& blob : blobs_of(images)) link_or_copy(store, blob, dir.get());
  oci::Index index = layout.index();
  for (const oci::Descriptor& entry : layout_index(images, names, "latest").manifests) {
    std::erase_if(index.manifests, [&](const oci::Descriptor& old) { return replaces(entry, old); });
    index.manifests.push_back(entry);
  }
  layout.write_index(index);
}

}  // namespace

void write_image_archive(cache::Store& store, const ImageSet& images, const std::vector<std::string>& names,
                         bool docker, const ArchiveSink& sink, const std::function<void(std::uint64_t)>& written,
                         const std::set<Digest>& left_out) {
  ArchiveWriter archive(store, sink, written);
  archive.directory("blobs");
  archive.directory("blobs/sha256");
  for (const oci::Descriptor& blob : blobs_of(images)) {
    if (!left_out.contains(blob.digest)) {
      archive.blob(blob);
    } else if (written) {
      written(blob.size);
    }
  }
  archive.text("index.json", oci::to_json(layout_index(images, names)));
  if (docker) archive.text("manifest.json", docker_manifest(images, names));
  archive.text("oci-layout", kLayoutFile);
  archive.finish();
}

void write_image_directory(cache::Store& store, const ImageSet& images, const std::vector<std::string>& names,
                           const std::string& directory) {
  try {
    add_to_layout(store, images, names, directory);
  } catch (Error& error) {
    name_full_disk(error, directory, directory);
    throw error.add_context(cat("write ", directory));
  }
}

}  // namespace cbuild::exporter
