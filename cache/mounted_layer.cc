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
#include "cache/codec.h"
#include "cache/layer_tables.h"
#include "cache/store_impl.h"
#include "oci/erofs/erofs_image.h"
#include "oci/erofs/erofs_mount.h"

namespace cbuild::cache {

namespace {

constexpr char kArchive[] = "archive", kImage[] = "image", kSeal[] = "mounted";
constexpr std::string_view kVersion = "2";
constexpr std::size_t kMaxSeal = 1u << 16;
constexpr std::uint64_t kMaxImage = 1u << 30;
/// Below this, making the few files costs no more than a mount in every build.
constexpr std::uint64_t kSmallBlob = 256u << 10;

struct Seal {
  Digest image, diff_id;
  std::uint64_t archive_size = 0;
  std::string archive_stat;
};

std::string stat_text(int fd) {
  const struct stat st = sys::stat_fd(fd);
  return cat(st.st_size, ' ', st.st_ino, ' ', st.st_mtim.tv_sec, '.', st.st_mtim.tv_nsec, ' ', st.st_ctim.tv_sec, '.',
             st.st_ctim.tv_nsec);
}

void write_seal(int dirfd, const Seal& seal) {
  const std::string text = encode_texts({std::string(kVersion), seal.image.str(), seal.diff_id.str(),
                                         std::to_string(seal.archive_size), seal.archive_stat});
  const std::string temporary = cat(kSeal, '.', ::getpid());
  sys::write_file_at(dirfd, temporary, text);
  sys::rename_at(dirfd, temporary, dirfd, kSeal);
}

std::optional<Seal> read_seal(int dirfd) {
  const auto file = sys::try_open_at(dirfd, kSeal, O_RDONLY | O_NOFOLLOW);
  if (!file) return std::nullopt;
  const auto texts = decode_texts(sys::read_all(file->get(), kMaxSeal));
  if (texts.size() != 5 || texts[0] != kVersion) return std::nullopt;
  const auto image = Digest::parse(texts[1]), diff_id = Digest::parse(texts[2]);
  const auto size = parse_int(texts[3]);
  if (!image || !diff_id || !size || *size < 0) return std::nullopt;
  return Seal{*image, *diff_id, static_cast<std::uint64_t>(*size), texts[4]};
}

Digest digest_of(int fd, std::uint64_t size) {
  Sha256 sha;
  std::string buffer(1u << 20, '\0');
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), size - at);
    const ssize_t got = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    sha.update(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
  }
  return sha.finish();
}

/// Whether the archive is the one that the seal speaks of; one that only looks new is noted as it looks now.
bool holds(int dirfd, Seal seal, int archive) {
  std::string now = stat_text(archive);
  if (now == seal.archive_stat) return true;
  const auto size = static_cast<std::uint64_t>(sys::stat_fd(archive).st_size);
  if (size != seal.archive_size || digest_of(archive, seal.archive_size) != seal.diff_id) return false;
  seal.archive_stat = std::move(now);
  try {
    write_seal(dirfd, seal);
  } catch (const Error&) {
    // Another thread notes the same, or the next use digests it again.
  }
  return true;
}

bool is_shortage(int err) { return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOSPC || err == EDQUOT; }

UniqueFd new_file(int dirfd, const char* name) {
  return sys::open_at(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

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
  UniqueFd archive = new_file(dir.get(), kArchive), image = new_file(dir.get(), kImage);
  oci::layer::PassOptions pass = pass_in;
  pass.uncompressed = [&](std::span<const std::byte> bytes) {
    sys::write_all(archive.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  const auto kept = std::make_shared<const KeptTable>(read_kept_table(std::move(blob), pass));
  const oci::layer::LayerTable& table = kept->table;
  const std::string text = oci::erofs::make_image(table, [&](std::uint64_t offset, std::span<std::byte> bytes) {
    const ssize_t got = ::pread(archive.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0) throw_errno(errno, "read a layer's archive");
    CBUILD_CHECK(static_cast<std::size_t>(got) == bytes.size());
  });
  sys::write_all(image.get(), text);
  write_seal(dir.get(), {sha256(text), table.diff_id, table.archive_size, stat_text(archive.get())});
  if (::unlinkat(dir.get(), "fs", AT_REMOVEDIR) != 0) throw_errno(errno, "remove the tree of a mounted layer");
  if (!open_mounted(tmp, Store::Impl::name_of(staging)))
    throw Error(ErrorCode::unsupported, "the kernel does not mount this layer");
  keep_layer_table(store, layer, kept);
}

bool is_mounted_form(int snapshots, const std::string& name) {
  return sys::try_stat_at(snapshots, cat(name, '/', kSeal)).has_value();
}

std::optional<UniqueFd> open_mounted(int snapshots, const std::string& name) {
  try {
    const auto dir = sys::try_open_at(snapshots, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const auto seal = dir ? read_seal(dir->get()) : std::nullopt;
    if (!seal) return std::nullopt;
    const UniqueFd archive = sys::open_at(dir->get(), kArchive, O_RDONLY | O_NOFOLLOW);
    const UniqueFd image = sys::open_at(dir->get(), kImage, O_RDONLY | O_NOFOLLOW);
    const auto size = static_cast<std::uint64_t>(sys::stat_fd(image.get()).st_size);
    if (size > kMaxImage || digest_of(image.get(), size) != seal->image) return std::nullopt;
    if (!holds(dir->get(), *seal, archive.get())) return std::nullopt;
    return oci::erofs::mount_image(image.get(), archive.get());
  } catch (const Error& error) {
    if (is_shortage(error.sys_errno())) throw;
    return std::nullopt;
  }
}

std::optional<KeptArchive> open_archive(Store& store, const Digest& layer) {
  const auto dir = sys::try_open_at(store.impl().dir(Dir::snapshots), snapshot_name(layer), O_RDONLY | O_DIRECTORY);
  const auto seal = dir ? read_seal(dir->get()) : std::nullopt;
  auto file = seal ? sys::try_open_at(dir->get(), kArchive, O_RDONLY | O_NOFOLLOW) : std::nullopt;
  if (!file) return std::nullopt;
  KeptArchive out{std::move(*file), {}};
  out.descriptor.digest = seal->diff_id;
  out.descriptor.size = seal->archive_size;
  return out;
}

}  // namespace cbuild::cache
