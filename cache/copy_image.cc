// SPDX-License-Identifier: Apache-2.0
// The layer's directory has the files of contents `contents.0`, `contents.1`, ..., which count as one range of bytes in
// that order, the image over it, `places`, by which the next copy finds what did not change, and the seal. The last
// file is new, the others are links to files of the earlier layer: they stay as long as any layer has them, so that no
// layer depends on another and gc takes them in any order. Content is only found again by the stat data of the file
// that it was read from, under the rule of the scan's table.
#include "cache/copy_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/mounted_layer.h"
#include "cache/source_metadata.h"
#include "cache/step_layer.h"
#include "cache/store_impl.h"
#include "oci/erofs/erofs_image.h"

namespace cbuild::cache {

namespace {

constexpr char kContents[] = "contents.", kPlaces[] = "places", kNew[] = "contents";
/// Below this, creating the files costs no more than a mount in every build.
constexpr std::size_t kFewFiles = 64;
constexpr std::size_t kMostTaken = 7, kMaxPlaces = 1u << 30;

static_assert(std::is_trivially_copyable_v<ContentPlace> && sizeof(ContentPlace) == 6 * sizeof(std::uint64_t));

auto order_of(const ContentPlace& place) {
  const StatId& id = place.source;
  return std::tie(id.inode, id.device, id.size, id.mtime_ns, id.ctime_ns, place.at);
}

std::string encode_places(std::vector<ContentPlace> places) {
  std::sort(places.begin(), places.end(),
            [](const ContentPlace& a, const ContentPlace& b) { return order_of(a) < order_of(b); });
  std::string out(places.size() * sizeof(ContentPlace), '\0');
  if (!places.empty()) std::memcpy(out.data(), places.data(), out.size());
  return out;
}

std::vector<ContentPlace> decode_places(std::string_view bytes) {
  std::vector<ContentPlace> out(bytes.size() / sizeof(ContentPlace));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * sizeof(ContentPlace));
  return out;
}

UniqueFd directory_of(Store& store, const Staging& staging) {
  return sys::open_at(store.impl().dir(Dir::tmp), Store::Impl::name_of(staging), O_RDONLY | O_DIRECTORY);
}

std::optional<Digest> last_of(Store& store, const Digest& series) {
  const auto note = read_source_metadata(store, series);
  return note ? Digest::parse(*note) : std::nullopt;
}

}  // namespace

bool should_write_image(Store& store, std::size_t files) {
  Store::Impl& impl = store.impl();
  if (!impl.may_mount_layers()) return false;
  return (impl.mounts_every_layer() || files >= kFewFiles) && impl.can_mount_layers();
}

CopyImage::CopyImage(Store& store, const Digest& series)
    : store_(store),
      series_(series),
      staging_(store.stage("copy")),
      dir_(directory_of(store, staging_)),
      contents_(new_layer_file(dir_.get(), kNew)) {
  seal_.kind = Seal::Kind::contents;
  const auto last = last_of(store, series);
  if (!last) return;
  try {
    open_earlier(*last);
  } catch (const Error&) {
    places_.clear();  // what cannot be found again is copied again
    earlier_.clear();
  }
}

// Only a layer that the index has counts: after a power loss the files of others may hold anything.
void CopyImage::open_earlier(const Digest& id) {
  const auto layer = store_.layer(id);
  if (!layer || !layer->has_tree) return;
  earlier_dir_ = sys::open_at(store_.impl().dir(Dir::snapshots), snapshot_name(id), O_RDONLY | O_DIRECTORY);
  const auto seal = read_seal(earlier_dir_.get());
  if (!seal || seal->kind != Seal::Kind::contents) return;
  auto files = open_sealed(earlier_dir_.get(), *seal);
  const std::string places = sys::read_file_at(earlier_dir_.get(), kPlaces, kMaxPlaces);
  if (!files || sha256(places) != seal->places) return;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < files->size(); ++i) {
    earlier_.push_back({std::move((*files)[i]), seal->files[i], begin, std::nullopt});
    begin += seal->files[i].size;
  }
  places_ = decode_places(places);
}

std::optional<std::uint64_t> CopyImage::find(const StatId& source) const {
  const ContentPlace wanted{source, 0};
  const auto found =
      std::lower_bound(places_.begin(), places_.end(), wanted,
                       [](const ContentPlace& a, const ContentPlace& b) { return order_of(a) < order_of(b); });
  if (found == places_.end() || found->source != source || earlier_at(found->at) == nullptr) return std::nullopt;
  return found->at;
}

const CopyImage::Earlier* CopyImage::earlier_at(std::uint64_t at) const {
  for (const Earlier& file : earlier_)
    if (at >= file.begin && at - file.begin < file.sealed.size) return &file;
  return nullptr;
}

void CopyImage::take_over(std::span<const Wanted> wanted) {
  std::vector<std::pair<std::uint64_t, Earlier*>> used;
  for (Earlier& file : earlier_) used.emplace_back(0, &file);
  for (const Wanted& piece : wanted)
    if (const Earlier* file = earlier_at(piece.at))
      used[static_cast<std::size_t>(file - earlier_.data())].first += ContentFile::whole_blocks(piece.size);
  std::stable_sort(used.begin(), used.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (auto& [bytes, file] : used) {
    const auto held = static_cast<std::uint64_t>(sys::stat_fd(file->file.get()).st_blocks) * ContentFile::kBlock;
    if (bytes == 0 || bytes < held / 2 || seal_.files.size() == kMostTaken) continue;
    if (!link(*file, seal_.files.size())) continue;
    file->now = begin_;
    begin_ += file->sealed.size;
  }
}

/// Gives a file one more name; false where that cannot be done.
bool CopyImage::link(Earlier& file, std::size_t number) {
  SealedFile sealed = file.sealed;
  sealed.name = cat(kContents, number);
  if (::linkat(earlier_dir_.get(), file.sealed.name.c_str(), dir_.get(), sealed.name.c_str(), 0) != 0) {
    if (errno == ENOSPC || errno == EDQUOT || errno == EIO) throw_errno(errno, "link the content of a layer");
    return false;
  }
  const struct stat linked = sys::stat_at(dir_.get(), sealed.name), opened = sys::stat_fd(file.file.get());
  CBUILD_CHECK(linked.st_ino == opened.st_ino && linked.st_dev == opened.st_dev);
  seal_.files.push_back(std::move(sealed));
  return true;
}

std::optional<std::uint64_t> CopyImage::taken(std::uint64_t at) const {
  const Earlier* file = earlier_at(at);
  if (file == nullptr || !file->now) return std::nullopt;
  return *file->now + (at - file->begin);
}

std::string CopyImage::write_image(const oci::layer::LayerTable& table, const Seal& seal) const {
  std::vector<std::uint64_t> sizes;
  for (const SealedFile& file : seal.files) sizes.push_back(file.size);
  const auto read = [&](std::uint64_t offset, std::span<std::byte> bytes) {
    const Earlier* from = nullptr;
    for (const Earlier& file : earlier_)
      if (file.now && offset >= *file.now && offset - *file.now < file.sealed.size) from = &file;
    const int fd = from != nullptr ? from->file.get() : contents_.fd();
    const std::uint64_t begin = from != nullptr ? *from->now : begin_;
    CBUILD_CHECK(sys::pread_all(fd, bytes, offset - begin, "read the content of a layer") == bytes.size());
  };
  return oci::erofs::make_image(table, read, sizes);
}

CopiedLayer CopyImage::finish(oci::layer::LayerTable table, std::vector<ContentPlace> places) {
  const ContentFile::Written written = contents_.finish();
  const std::string name = cat(kContents, seal_.files.size());
  sys::rename_at(dir_.get(), kNew, dir_.get(), name);
  seal_.files.push_back(seal_file(seal_.kind, name, contents_.fd(), written.digest));
  table.archive_size = begin_ + written.size;
  const std::string image = write_image(table, seal_), encoded = encode_places(std::move(places));
  seal_.image = sha256(image);
  seal_.places = sha256(encoded);
  sys::write_all(new_layer_file(dir_.get(), kImageName).get(), image);
  sys::write_all(new_layer_file(dir_.get(), kPlaces).get(), encoded);
  write_seal(dir_.get(), seal_);
  if (::unlinkat(dir_.get(), "fs", AT_REMOVEDIR) != 0) throw_errno(errno, "remove the tree of a mounted layer");
  if (!open_mounted(store_.impl().dir(Dir::tmp), Store::Impl::name_of(staging_)))
    throw Error(ErrorCode::unsupported, "the kernel does not mount this layer");
  return {std::move(staging_), std::make_shared<const KeptTable>(KeptTable{std::move(table), {}}), series_};
}

Chain add_copied_layer(Store& store, const Digest& parent, Layer layer, CopiedLayer copied, const Digest& identity) {
  const Digest id = layer.id;
  store.impl().open_layers.keep_table(id, std::move(copied.table));
  const Chain chain = add_tree_on(store, parent, std::move(layer), std::move(copied.staging), identity);
  try {
    write_source_metadata(store, copied.series, id.str());
  } catch (const Error&) {
    // The next copy writes all of its content.
  }
  return chain;
}

}  // namespace cbuild::cache
