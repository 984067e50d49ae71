// SPDX-License-Identifier: Apache-2.0
// An image in an OCI layout: a directory, or for the time of the copy the unpacked files of an archive. Older
// archives of `docker save` become one when they are unpacked. Archives are written in one go at the end.
#include <fcntl.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/copy/image_place.h"
#include "oci/json.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/tar_writer.h"
#include "oci/layout.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

constexpr char kFullName[] = "io.containerd.image.name", kRefName[] = "org.opencontainers.image.ref.name";
constexpr std::size_t kMostDocument = 8u << 20, kMostMembers = 1u << 20, kPieceSize = 1u << 20;

class LayoutPlace : public ImagePlace {
 public:
  LayoutPlace(std::string shown, oci::ImageLayout layout, std::string selector)
      : shown_(std::move(shown)), selector_(std::move(selector)), layout_(std::move(layout)) {}

  PlaceKind kind() const override { return PlaceKind::layout; }
  std::string name() const override { return shown_; }

  ImageDocument root() override {
    const oci::Descriptor found = layout_.find(selector_);
    refuse_sha512(found);
    return document_of(oci::read_blob(layout_.blobs(), found.digest));
  }
  std::string document(const oci::Descriptor& descriptor) override {
    return oci::read_blob(layout_.blobs(), descriptor.digest);
  }
  std::string small_blob(const oci::Descriptor& descriptor) override {
    return oci::read_blob(layout_.blobs(), descriptor.digest, kMostDocument);
  }
  void fetch(const oci::Descriptor& descriptor, oci::BlobStore& into) override {
    oci::copy_blob(layout_.blobs(), into, descriptor);
  }
  oci::BlobStore* local_blobs(const oci::Descriptor&) override { return &layout_.blobs(); }

  /// Entries of index.json whose manifests name it.
  std::vector<Referrer> referrers(const Digest& subject) override {
    std::vector<Referrer> out;
    const oci::Index index = layout_.index();
    for (const oci::Descriptor& entry : index.manifests) {
      if (!entry.sha512.empty() || !oci::is_manifest(entry.media_type)) continue;
      const auto document = oci::parse_manifest(oci::read_blob(layout_.blobs(), entry.digest));
      const auto* manifest = std::get_if<oci::Manifest>(&document);
      if (manifest != nullptr && manifest->subject && manifest->subject->digest == subject) out.push_back({entry, {}});
    }
    return out;
  }

  bool is_there(const ImageDocument&) override { return false; }  // names and blobs may lie apart here

  bool take_blob(const oci::Descriptor& descriptor, ImagePlace& from) override {
    if (layout_.blobs().size(descriptor.digest) == descriptor.size) return false;
    from.fetch(descriptor, layout_.blobs());
    return true;
  }
  void take_document(const ImageDocument& document) override {
    oci::put_blob(layout_.blobs(), document.body, document.descriptor.media_type);
  }
  void finish(const ImageDocument& image) override {
    take_document(image);
    oci::Descriptor entry = image.descriptor;
    if (selector_.starts_with('@') && selector_.substr(1) != entry.digest.str())
      throw Error(ErrorCode::usage, cat(shown_, ": the image has the digest ", entry.digest.str()));
    if (!selector_.empty() && !selector_.starts_with('@')) set_name(entry);
    add_entry(std::move(entry));
  }
  void take_referrer(const ImageDocument& artifact, const std::string& tag) override {
    take_document(artifact);
    oci::Descriptor entry = artifact.descriptor;
    if (!tag.empty()) entry.annotations[kRefName] = tag;
    add_entry(std::move(entry));
  }

 protected:
  oci::ImageLayout& layout() { return layout_; }
  const std::string& selector() const { return selector_; }

 private:
  /// A selector with a slash is a whole name, any other a tag.
  void set_name(oci::Descriptor& entry) const {
    if (selector_.find_first_of("/:") == std::string::npos) {
      entry.annotations[kRefName] = selector_;
      return;
    }
    const oci::Reference reference = oci::parse_reference(selector_);
    entry.annotations[kFullName] = reference.str();
    if (!reference.tag.empty()) entry.annotations[kRefName] = reference.tag;
  }

  void add_entry(oci::Descriptor entry) {
    const auto value = [](const oci::Descriptor& of, const char* key) {
      const auto found = of.annotations.find(key);
      return found == of.annotations.end() ? std::string() : found->second;
    };
    const auto names = [&](const oci::Descriptor& of) { return value(of, kFullName) + "\n" + value(of, kRefName); };
    oci::Index index = layout_.index();
    std::erase_if(index.manifests, [&](const oci::Descriptor& old) {
      return names(old) == names(entry) && (names(entry) != "\n" || old.digest == entry.digest);
    });
    index.manifests.push_back(std::move(entry));
    layout_.write_index(index);
  }

  const std::string shown_, selector_;
  oci::ImageLayout layout_;
};

/// The name of a member below the archive's root, without "./"; empty for others.
std::string safe_member(std::string name) {
  while (name.starts_with("./")) name.erase(0, 2);
  for (const std::string& part : split(name, '/'))
    if (part.empty() || part == "." || part == "..") return {};
  return name;
}

/// The regular files and links of an archive, as files of a directory that nobody else can write.
class Unpacked {
 public:
  Unpacked(const std::string& file, int directory) : directory_(directory) {
    const UniqueFd archive = sys::open_at(AT_FDCWD, file, O_RDONLY);
    std::vector<std::byte> buffer(kPieceSize);
    oci::layer::TarReader reader(
        [&]() -> std::span<const std::byte> { return std::span(buffer).first(sys::read_some(archive.get(), buffer)); });
    oci::layer::TarMember member;
    std::size_t count = 0;
    while (reader.next(member)) {
      if (++count > kMostMembers) throw Error(ErrorCode::corrupt, "the archive has too many members");
      take(reader, member);
    }
  }

  /// docker's older archives name one layer from several places by links.
  std::string resolve(std::string name) const {
    for (int hops = 0; hops < 8; ++hops) {
      const auto link = links_.find(name);
      if (link == links_.end()) return name;
      name = safe_member(clean_path(join_path(dir_name(name), link->second)));
    }
    throw Error(ErrorCode::corrupt, cat(name, ": too many links"));
  }

 private:
  void take(oci::layer::TarReader& reader, const oci::layer::TarMember& member) {
    using Type = oci::layer::EntryType;
    const std::string name = safe_member(member.entry.name);
    if (name.empty()) return;
    if (member.entry.type == Type::symlink) links_[name] = member.entry.link_target;
    if (member.entry.type != Type::file) return;
    if (const std::string parent = dir_name(name); parent != "." && !parent.empty())
      sys::mkdir_all(directory_, parent, 0700);
    UniqueFd out = sys::open_at(directory_, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    std::span<const std::byte> bytes;
    std::uint64_t offset = 0;
    while (reader.data(bytes, offset))
      sys::pwrite_all(out.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                      static_cast<off_t>(offset));
    out.close_checked();
  }

  const int directory_;
  std::map<std::string, std::string> links_;
};

oci::Descriptor take_file(int directory, const std::string& name, oci::ImageLayout& layout, std::string_view type) {
  const UniqueFd file = sys::open_at(directory, name, O_RDONLY | O_NOFOLLOW);
  oci::Descriptor out;
  out.media_type = type;
  out.size = static_cast<std::uint64_t>(sys::stat_fd(file.get()).st_size);
  out.digest = oci::copy_file(file.get(), layout.blobs(), out);
  return out;
}

/// Whether a layer's file begins as gzip does.
bool is_gzip(int directory, const std::string& name) {
  const UniqueFd file = sys::open_at(directory, name, O_RDONLY | O_NOFOLLOW);
  std::byte magic[2]{};
  return sys::pread_all(file.get(), magic, 0) == 2 && magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b};
}

/// Makes a layout of what `docker save` wrote: manifest.json, configs and layers.
void convert_docker_archive(int directory, const Unpacked& files, oci::ImageLayout& layout) {
  const std::string text = sys::read_file_at(directory, "manifest.json", kMostDocument);
  const nlohmann::json list =
      oci::json::parse_object(cat("{\"images\":", text, "}"), kMostDocument + 16, "manifest.json");
  const nlohmann::json* images = oci::json::array(list, "images");
  oci::Index index;
  for (const nlohmann::json& image : images == nullptr ? nlohmann::json::array() : *images) {
    oci::Manifest manifest;
    manifest.config =
        take_file(directory, safe_member(oci::json::text(image, "Config")), layout, oci::media_type::kConfig);
    for (const std::string& layer : oci::json::texts(image, "Layers")) {
      const std::string file = files.resolve(safe_member(layer));
      manifest.layers.push_back(take_file(
          directory, file, layout, is_gzip(directory, file) ? oci::media_type::kLayerGzip : oci::media_type::kLayer));
    }
    const oci::Descriptor entry = oci::put_blob(layout.blobs(), oci::to_json(manifest), manifest.media_type);
    std::vector<std::string> tags = oci::json::texts(image, "RepoTags");
    if (tags.empty()) index.manifests.push_back(entry);
    for (const std::string& tag : tags) {
      const oci::Reference reference = oci::parse_reference(tag);
      oci::Descriptor named = entry;
      named.annotations = {{kFullName, reference.str()}, {kRefName, reference.tag}};
      index.manifests.push_back(std::move(named));
    }
  }
  layout.write_index(index);
}

/// The layout in a temporary directory that an archive is unpacked into, or packed from.
struct ArchiveFiles {
  TempDir directory = TempDir::in_tmp("cbuild-archive");

  oci::ImageLayout read(const std::string& file) {
    const Unpacked files(file, directory.fd());
    if (sys::try_stat_at(directory.fd(), "oci-layout")) return oci::ImageLayout::open(directory.path());
    if (!sys::try_stat_at(directory.fd(), "manifest.json"))
      throw Error(ErrorCode::corrupt, "neither an OCI layout nor an archive of docker save");
    oci::ImageLayout layout = oci::ImageLayout::create(join_path(directory.path(), "layout"));
    convert_docker_archive(directory.fd(), files, layout);
    return layout;
  }
};

oci::ImageLayout open_archive(ArchiveFiles& files, const std::string& file, PlaceUse use) {
  try {
    return use == PlaceUse::read ? files.read(file) : oci::ImageLayout::create(files.directory.path());
  } catch (Error& error) {
    throw error.add_context(file);
  }
}

/// "library/app:1" of a full name, as docker prints and takes it.
std::string docker_tag(const std::string& selector) {
  const oci::Reference reference = oci::parse_reference(selector);
  return reference.tag.empty() ? std::string() : reference.familiar();
}

class ArchivePlace final : private ArchiveFiles, public LayoutPlace {
 public:
  ArchivePlace(const std::string& file, const std::string& selector, bool docker, PlaceUse use)
      : LayoutPlace(file, open_archive(*this, file, use), selector), file_(file), docker_(docker) {}

  PlaceKind kind() const override { return PlaceKind::archive; }
  void finish(const ImageDocument& image) override {
    LayoutPlace::finish(image);
    write(image);
  }
  void take_referrer(const ImageDocument& artifact, const std::string& tag) override {
    if (docker_)
      throw Error(ErrorCode::unsupported, "an archive of docker has no place for signatures and attestations");
    LayoutPlace::take_referrer(artifact, tag);
  }

 private:
  void add_directory(oci::layer::TarWriter& tar, const std::string& name) {
    tar.entry({.name = name, .type = oci::layer::EntryType::directory, .mode = 0755});
  }
  void add_text(oci::layer::TarWriter& tar, const std::string& name, std::string_view text) {
    tar.entry({.name = name, .mode = 0644, .size = text.size()});
    tar.data(std::as_bytes(std::span(text)));
  }
  void add_blob(oci::layer::TarWriter& tar, const std::string& hex) {
    const UniqueFd file = sys::open_at(directory.fd(), cat("blobs/sha256/", hex), O_RDONLY);
    tar.entry({.name = cat("blobs/sha256/", hex),
               .mode = 0644,
               .size = static_cast<std::uint64_t>(sys::stat_fd(file.get()).st_size)});
    std::vector<std::byte> buffer(kPieceSize);
    while (const std::size_t got = sys::read_some(file.get(), buffer)) tar.data(std::span(buffer).first(got));
  }

  std::string docker_manifest(const ImageDocument& image) {
    const auto document = oci::parse_manifest(image.body);
    const auto* manifest = std::get_if<oci::Manifest>(&document);
    if (manifest == nullptr)
      throw Error(ErrorCode::usage, "an archive of docker holds one platform").with_hint("choose one with --platform");
    oci::json::Writer out;
    out.begin_array().begin_object().key("Config").text(cat("blobs/sha256/", manifest->config.digest.hex()));
    out.key("RepoTags").begin_array();
    if (const std::string tag = selector().empty() ? "" : docker_tag(selector()); !tag.empty()) out.text(tag);
    out.end_array().key("Layers").begin_array();
    for (const oci::Descriptor& layer : manifest->layers) out.text(cat("blobs/sha256/", layer.digest.hex()));
    return out.end_array().end_object().end_array().take();
  }

  void write(const ImageDocument& image) {
    const std::string docker = docker_ ? docker_manifest(image) : std::string();
    OutputFile file(file_);
    oci::layer::TarWriter tar([&](std::span<const std::byte> bytes) { file.write(bytes); });
    add_directory(tar, "blobs");
    add_directory(tar, "blobs/sha256");
    std::vector<std::string> blobs =
        sys::list_dir(sys::open_at(directory.fd(), "blobs/sha256", O_RDONLY | O_DIRECTORY).get());
    std::sort(blobs.begin(), blobs.end());
    for (const std::string& hex : blobs) add_blob(tar, hex);
    for (const char* name : {"index.json", "oci-layout"})
      add_text(tar, name, sys::read_file_at(directory.fd(), name, kMostDocument));
    if (docker_) add_text(tar, "manifest.json", docker);
    tar.finish();
    file.publish();
  }

  const std::string file_;
  const bool docker_;
};

}  // namespace

std::unique_ptr<ImagePlace> layout_place(const std::string& directory, const std::string& selector, PlaceUse use) {
  oci::ImageLayout layout =
      use == PlaceUse::read ? oci::ImageLayout::open(directory) : oci::ImageLayout::create(directory);
  return std::make_unique<LayoutPlace>(
      cat("oci-layout://", directory, selector.empty() || selector.starts_with('@') ? "" : ":", selector),
      std::move(layout), selector);
}

std::unique_ptr<ImagePlace> archive_place(const std::string& file, const std::string& selector, bool docker,
                                          PlaceUse use) {
  return std::make_unique<ArchivePlace>(file, selector, docker, use);
}

}  // namespace cbuild::exporter
