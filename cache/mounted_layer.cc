// SPDX-License-Identifier: Apache-2.0
// A layer in this form is three files. `archive` is the uncompressed blob. `image` shows it. `mounted`, written last,
// binds them: the digest of the image, the archive's size and digest, and its stat data of then. The image is digested
// whenever it is mounted; the archive, which is two hundred times larger, only if its stat data are others than noted.
// So a file is never shown out of a changed archive, and a store that was copied is verified once.
#include "cache/mounted_layer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/layer_tables.h"
#include "cache/mounted_seal.h"
#include "cache/store_impl.h"
#include "oci/erofs/erofs_image.h"
#include "oci/erofs/erofs_mount.h"

namespace cbuild::cache {

namespace {

constexpr std::uint64_t kMaxImage = 1u << 30;
/// Below this, making the few files costs no more than a mount in every build.
constexpr std::uint64_t kSmallBlob = 256u << 10;

bool is_shortage(int err) { return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOSPC || err == EDQUOT; }

}  // namespace

bool should_mount(Store& store, const Layer& layer) {
  Store::Impl& impl = store.impl();
  if (!impl.may_mount_layers() || !layer.blob) return false;
  return (impl.mounts_every_layer() || layer.blob->size >= kSmallBlob) && impl.can_mount_layers();
}

void write_mounted(Store& store, const Layer& layer, oci::layer::ByteSource blob,
                   const oci::layer::PassOptions& pass_in, const Staging& staging) {
  const int tmp = store.impl().dir(Dir::tmp);
  const UniqueFd dir = sys::open_at(tmp, Store::Impl::name_of(staging), O_RDONLY | O_DIRECTORY);
  UniqueFd archive = new_layer_file(dir.get(), kArchiveName), image = new_layer_file(dir.get(), kImageName);
  oci::layer::PassOptions pass = pass_in;
  pass.uncompressed = [&](std::span<const std::byte> bytes) {
    sys::write_all(archive.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  const auto kept = std::make_shared<const KeptTable>(read_kept_table(std::move(blob), pass));
  const oci::layer::LayerTable& table = kept->table;
  const std::string text = oci::erofs::make_image(table, [&](std::uint64_t offset, std::span<std::byte> bytes) {
    CBUILD_CHECK(sys::pread_all(archive.get(), bytes, offset, "read a layer's archive") == bytes.size());
  });
  sys::write_all(image.get(), text);
  constexpr auto kKind = Seal::Kind::archive;
  write_seal(dir.get(), {kKind, sha256(text), {}, {seal_file(kKind, kArchiveName, archive.get(), table.diff_id)}});
  if (::unlinkat(dir.get(), "fs", AT_REMOVEDIR) != 0) throw_errno(errno, "remove the tree of a mounted layer");
  if (!open_mounted(tmp, Store::Impl::name_of(staging)))
    throw Error(ErrorCode::unsupported, "the kernel does not mount this layer");
  keep_layer_table(store, layer, kept);
}

bool is_mounted_form(int snapshots, const std::string& name) {
  return sys::try_stat_at(snapshots, cat(name, '/', kSealName)).has_value();
}

std::optional<UniqueFd> open_mounted(int snapshots, const std::string& name) {
  try {
    const auto dir = sys::try_open_at(snapshots, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const auto seal = dir ? read_seal(dir->get()) : std::nullopt;
    if (!seal) return std::nullopt;
    const UniqueFd image = sys::open_at(dir->get(), kImageName, O_RDONLY | O_NOFOLLOW);
    const auto size = static_cast<std::uint64_t>(sys::stat_fd(image.get()).st_size);
    if (size > kMaxImage || digest_bytes(image.get(), size) != seal->image) return std::nullopt;
    const auto files = open_sealed(dir->get(), *seal);
    if (!files) return std::nullopt;
    std::vector<int> parts;
    for (const UniqueFd& file : *files) parts.push_back(file.get());
    return oci::erofs::mount_image(image.get(), parts);
  } catch (const Error& error) {
    if (is_shortage(error.sys_errno())) throw;
    return std::nullopt;
  }
}

std::optional<KeptArchive> open_archive(Store& store, const Digest& layer) {
  const auto dir = sys::try_open_at(store.impl().dir(Dir::snapshots), snapshot_name(layer), O_RDONLY | O_DIRECTORY);
  const auto seal = dir ? read_seal(dir->get()) : std::nullopt;
  const bool is_archive = seal && seal->kind == Seal::Kind::archive;
  auto file = is_archive ? sys::try_open_at(dir->get(), kArchiveName, O_RDONLY | O_NOFOLLOW) : std::nullopt;
  if (!file) return std::nullopt;
  KeptArchive out{std::move(*file), {}};
  out.descriptor.digest = seal->files[0].digest;
  out.descriptor.size = seal->files[0].size;
  return out;
}

}  // namespace cbuild::cache
