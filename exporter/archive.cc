// SPDX-License-Identifier: Apache-2.0
// Images as OCI layouts (a tar or a directory, with docker's manifest.json if wanted) and the merged root file system
// as a tar. Every blob is verified while it is copied. Entries of a file system come in sorted order, and files of one
// inode become hard links.
#include "exporter/archive.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/threads.h"
#include "exporter/blob_verify.h"
#include "oci/layer/planned_entry.h"
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

/// One entry per name, or one without a name.
oci::Index layout_index(const BuiltImage& image, const std::vector<std::string>& names) {
  oci::Index index;
  for (const std::string& name : names) {
    const oci::Reference reference = oci::parse_reference(name);
    oci::Descriptor entry = image.manifest;
    entry.annotations[kImageName] = reference.str();
    if (!reference.tag.empty()) entry.annotations[kTagName] = reference.tag;
    index.manifests.push_back(std::move(entry));
  }
  if (names.empty()) index.manifests.push_back(image.manifest);
  return index;
}

std::string docker_manifest(const BuiltImage& image, const std::vector<std::string>& names) {
  Json entry = Json::object();
  entry["Config"] = blob_path(image.config.digest);
  entry["RepoTags"] = Json::array();
  for (const std::string& name : names) {
    const oci::Reference reference = oci::parse_reference(name);
    if (!reference.tag.empty()) entry["RepoTags"].push_back(reference.familiar());
  }
  entry["Layers"] = Json::array();
  for (const oci::Descriptor& layer : image.content.layers) entry["Layers"].push_back(blob_path(layer.digest));
  return Json::array({entry}).dump();
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
    if (!done_.insert(descriptor.digest).second) return;
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
  std::set<Digest> done_;
};

/// Walks a merged view in sorted order into a tar.
class ViewTar {
 public:
  ViewTar(const cache::TreeView& view, const RootfsOptions& options, const oci::layer::ByteSink& sink)
      : view_(view), options_(options), tar_(sink), buffer_(kCopyBuffer) {
    if (options.prefix.empty()) return;
    const std::int64_t now = sys::now_ns() / 1'000'000'000;
    tar_.entry({.name = options.prefix,
                .type = oci::layer::EntryType::directory,
                .mode = 0755,
                .mtime_s = std::min(now, options.clamp_mtime_s.value_or(now))});
  }

  void directory(const std::string& path) {
    for (const auto& entry : view_.list(path)) {
      if (options_.cancel) options_.cancel->check();
      const std::string name = child_path(path, entry.name);
      if (S_ISSOCK(entry.st.st_mode)) continue;
      write(entry, name);
      if (S_ISDIR(entry.st.st_mode)) directory(name);
    }
  }
  void finish() { tar_.finish(); }

 private:
  void write(const cache::TreeView::Entry& found, const std::string& name) {
    oci::layer::TarEntry entry = describe(found, name);
    if (entry.type == oci::layer::EntryType::file && found.st.st_nlink > 1) {
      const auto [known, fresh] = links_.try_emplace({found.layer, {found.st.st_dev, found.st.st_ino}}, entry.name);
      if (!fresh) {
        entry.type = oci::layer::EntryType::hardlink;
        entry.link_target = known->second;
        entry.size = 0;
      }
    }
    tar_.entry(entry);
    if (entry.type == oci::layer::EntryType::file) content(name, entry.size);
  }

  oci::layer::TarEntry describe(const cache::TreeView::Entry& found, const std::string& name) const {
    using Type = oci::layer::EntryType;
    const struct stat& st = found.st;
    oci::layer::TarEntry entry{
        .name = child_path(options_.prefix, name), .mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid};
    entry.mtime_s = std::min<std::int64_t>(st.st_mtim.tv_sec, options_.clamp_mtime_s.value_or(st.st_mtim.tv_sec));
    switch (st.st_mode & S_IFMT) {
      case S_IFDIR:
        entry.type = Type::directory;
        break;
      case S_IFLNK:
        entry.type = Type::symlink;
        entry.link_target = view_.read_link(name);
        break;
      case S_IFIFO:
        entry.type = Type::fifo;
        break;
      case S_IFCHR:
        entry.type = Type::char_device;
        break;
      case S_IFBLK:
        entry.type = Type::block_device;
        break;
      default:
        entry.size = static_cast<std::uint64_t>(st.st_size);
        break;
    }
    if (entry.type == Type::char_device || entry.type == Type::block_device) {
      entry.device_major = major(st.st_rdev);
      entry.device_minor = minor(st.st_rdev);
    }
    entry.xattrs = oci::layer::layer_xattrs(view_.xattrs(name));
    return entry;
  }

  void content(const std::string& name, std::uint64_t size) {
    const UniqueFd fd = view_.open(name, O_RDONLY);
    while (size > 0) {
      const std::size_t got =
          sys::read_some(fd.get(), std::span(buffer_).first(std::min<std::uint64_t>(size, buffer_.size())));
      if (got == 0) throw Error(ErrorCode::io, cat("/", name, " became shorter while it was read"));
      tar_.data(std::span(buffer_).first(got));
      size -= got;
    }
  }

  const cache::TreeView& view_;
  const RootfsOptions& options_;
  oci::layer::TarWriter tar_;
  std::vector<std::byte> buffer_;
  std::map<std::pair<std::size_t, std::pair<dev_t, ino_t>>, std::string> links_;
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

/// Whether `entry` takes the place of `old` in an index: both have one name, or none.
bool replaces(const oci::Descriptor& entry, const oci::Descriptor& old) {
  const auto name = entry.annotations.find(kImageName);
  const auto old_name = old.annotations.find(kImageName);
  if (old_name != old.annotations.end()) return name != entry.annotations.end() && name->second == old_name->second;
  if (old.annotations.contains(kTagName)) return false;  // another tool's
  return name == entry.annotations.end() || old.digest == entry.digest;
}

void add_to_layout(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                   const std::string& directory) {
  oci::ImageLayout layout = oci::ImageLayout::create(directory);
  const UniqueFd dir = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  for (const oci::Descriptor& layer : image.content.layers) link_or_copy(store, layer, dir.get());
  link_or_copy(store, image.config, dir.get());
  link_or_copy(store, image.manifest, dir.get());
  oci::Index index = layout.index();
  for (const oci::Descriptor& entry : layout_index(image, names).manifests) {
    std::erase_if(index.manifests, [&](const oci::Descriptor& old) { return replaces(entry, old); });
    index.manifests.push_back(entry);
  }
  layout.write_index(index);
}

}  // namespace

void write_image_archive(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                         bool docker, const ArchiveSink& sink, const std::function<void(std::uint64_t)>& written) {
  ArchiveWriter archive(store, sink, written);
  archive.directory("blobs");
  archive.directory("blobs/sha256");
  for (const oci::Descriptor& layer : image.content.layers) archive.blob(layer);
  archive.blob(image.config);
  archive.blob(image.manifest);
  archive.text("index.json", oci::to_json(layout_index(image, names)));
  if (docker) archive.text("manifest.json", docker_manifest(image, names));
  archive.text("oci-layout", kLayoutFile);
  archive.finish();
}

void write_image_directory(cache::Store& store, const BuiltImage& image, const std::vector<std::string>& names,
                           const std::string& directory) {
  try {
    add_to_layout(store, image, names, directory);
  } catch (Error& error) {
    name_full_disk(error, directory, directory);
    throw error.add_context(cat("write ", directory));
  }
}

cache::TreeView open_rootfs(cache::Store& store, const Digest& chain) {
  return chain.empty() ? cache::TreeView({}, true) : cache::open_view(store, chain);
}

void write_rootfs_tar(cache::Store& store, const RootfsOptions& options, const oci::layer::ByteSink& sink) {
  const cache::TreeView view = open_rootfs(store, options.chain);
  ViewTar tar(view, options, sink);
  tar.directory("");
  tar.finish();
}

}  // namespace cbuild::exporter
