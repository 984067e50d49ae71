// SPDX-License-Identifier: Apache-2.0
// Things people name: images, cache mounts.
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/cache_mounts.h"
#include "cache/reserve.h"
#include "cache/store.h"
#include "cache/store_impl.h"
#include "oci/layout.h"
#include "oci/manifest.h"

namespace cbuild::cache {

namespace {

constexpr char kRefName[] = "org.opencontainers.image.ref.name";
constexpr char kImageNameKey[] = "io.containerd.image.name";

Image read_image(const Query& query) { return {query.text(0), query.digest(1), query.integer(2)}; }

oci::Descriptor describe_manifest(oci::BlobStore& blobs, const Digest& digest) {
  const std::string body = oci::read_blob(blobs, digest);
  oci::Descriptor descriptor;
  descriptor.digest = digest;
  descriptor.size = body.size();
  descriptor.media_type =
      std::visit([](const auto& document) { return document.media_type; }, oci::parse_manifest(body));
  return descriptor;
}

enum class SharingMode : int { shared = 0, private_ = 1, locked = 2 };

std::string mount_name(const std::string& id, const Digest& base, SharingMode mode, unsigned instance) {
  CanonicalWriter key;
  key.text(id).digest(base).number(mode == SharingMode::private_ ? instance : 0);
  return key.hash().hex();
}

}  // namespace

std::string cache_mount_key(const std::string& id, const Digest& base) {
  return mount_name(id, base, SharingMode::shared, 0);
}

std::vector<CacheMountInfo> cache_mounts(Store& store) {
  return store.impl().index.read([](Database& db) {
    std::vector<CacheMountInfo> out;
    Query query = db.query("SELECT dir, description FROM mounts ORDER BY description, dir");
    while (query.next()) out.push_back({query.text(1), query.text(0)});
    return out;
  });
}

// Under a lock, because two writers could otherwise publish an older list last.
void write_layout(Store::Impl& store) {
  const auto lock = FileLock::wait(store.dir(Dir::locks), "layout", FileLock::Mode::exclusive);
  oci::Index index;
  store.index.read([&](Database& db) {
    index.manifests.clear();
    Query query = db.query("SELECT name, manifest, media_type, size FROM images ORDER BY name");
    while (query.next()) {
      oci::Descriptor descriptor;
      descriptor.digest = query.digest(1);
      descriptor.media_type = query.text(2);
      descriptor.size = static_cast<std::uint64_t>(query.integer(3));
      descriptor.annotations = {{kRefName, query.text(0)}, {kImageNameKey, query.text(0)}};
      index.manifests.push_back(std::move(descriptor));
    }
  });
  oci::ImageLayout layout = oci::ImageLayout::create(store.root);
  if (unless_full([&] { layout.write_index(index); })) return;
  // The list is ours to make again, and the new one needs the space of the old one.
  ::unlinkat(store.root_fd.get(), "index.json", 0);
  layout.write_index(index);
}

void adopt_images(Database& db, const std::string& root) {
  if (!sys::try_stat_at(AT_FDCWD, root + "/index.json")) return;
  try {
    for (const oci::Descriptor& manifest : oci::ImageLayout::open(root).index().manifests) {
      const auto name = manifest.annotations.find(kImageNameKey);
      if (name == manifest.annotations.end()) continue;
      db.run("INSERT OR IGNORE INTO images VALUES(?, ?, ?, ?, ?)", name->second, manifest.digest, manifest.media_type,
             manifest.size, sys::now_ns());
    }
  } catch (const IndexBroken&) {
    throw;
  } catch (const Error&) {
    // Only names are lost; the next set_image() writes the file again.
  }
}

std::optional<Image> Store::image(const std::string& name) {
  return impl_->index.read([&](Database& db) -> std::optional<Image> {
    Query query = db.query("SELECT name, manifest, created_ns FROM images WHERE name = ?", name);
    if (!query.next()) return std::nullopt;
    return read_image(query);
  });
}

void Store::set_image(const Image& image) {
  const oci::Descriptor manifest = describe_manifest(impl_->blobs, image.manifest);
  impl_->index.write([&](Database& db) {
    db.run("INSERT OR REPLACE INTO images VALUES(?, ?, ?, ?, ?)", image.name, image.manifest, manifest.media_type,
           manifest.size, image.created_ns != 0 ? image.created_ns : sys::now_ns());
  });
  write_layout(*impl_);
}

std::vector<Image> Store::images() {
  return impl_->index.read([&](Database& db) {
    std::vector<Image> out;
    Query query = db.query("SELECT name, manifest, created_ns FROM images ORDER BY name");
    while (query.next()) out.push_back(read_image(query));
    return out;
  });
}

bool Store::remove_image(const std::string& name) {
  bool removed = false;
  with_room(*impl_, [&] {
    const bool now =
        impl_->index.write([&](Database& db) { return db.run("DELETE FROM images WHERE name = ?", name) > 0; });
    removed = removed || now;
    if (removed) write_layout(*impl_);
  });
  return removed;
}

// The lock is held as long as the mount is used, shared ones too: gc takes it exclusively before it removes
// anything. Initial content is put in before the directory gets its name, so that nobody sees half of it.
std::optional<Store::CacheMountDir> Store::try_cache_mount(const std::string& id, const Digest& base, int sharing_mode,
                                                           unsigned instance,
                                                           const std::function<void(int dirfd)>& populate) {
  const auto sharing = static_cast<SharingMode>(sharing_mode);
  const std::string name = mount_name(id, base, sharing, instance);
  const auto mode = sharing == SharingMode::shared ? FileLock::Mode::shared : FileLock::Mode::exclusive;
  CacheMountDir out;
  out.lock = FileLock::try_lock(impl_->dir(Dir::locks), "mount-" + name, mode);
  if (!out.lock) return std::nullopt;
  const int mounts = impl_->dir(Dir::mounts);
  const std::string data = name + "/data";
  auto dir = sys::try_open_at(mounts, data, O_RDONLY | O_DIRECTORY);
  if (!dir) {
    Staging staging = stage("mount");
    if (populate) populate(staging.tree_fd());
    sys::mkdir_at(mounts, name, 0700);
    out.fresh = sys::rename_noreplace(impl_->dir(Dir::tmp), staging.impl_->name + "/fs", mounts, data);
    dir = sys::open_at(mounts, data, O_RDONLY | O_DIRECTORY);
  }
  out.dir = std::move(*dir);
  out.path = cat(impl_->root, "/mounts/", data);
  const std::int64_t now = sys::now_ns();
  impl_->index.write([&](Database& db) {
    db.run("INSERT INTO mounts VALUES(?1, ?2, ?3, ?3) ON CONFLICT(dir) DO UPDATE SET last_used_ns = ?3", name, id, now);
  });
  return out;
}

}  // namespace cbuild::cache
