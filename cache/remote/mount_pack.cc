// SPDX-License-Identifier: Apache-2.0
#include "cache/remote/mount_pack.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/store_impl.h"
#include "cache/tree_blocks.h"
#include "oci/layer/pack.h"
#include "oci/layer/unpack.h"

namespace cbuild::cache {

// The lock keeps gc and exclusive users away; steps that share the mount may go on writing.
std::optional<RemoteIndex::MountEntry> pack_cache_mount(Store& store, const CacheMountInfo& mount,
                                                        std::uint64_t max_bytes, const CancelSource* cancel,
                                                        std::string& why_not) {
  const auto refuse = [&](std::string why) {
    why_not = std::move(why);
    return std::nullopt;
  };
  Store::Impl& impl = store.impl();
  const auto lock = FileLock::try_lock(impl.dir(Dir::locks), "mount-" + mount.key, FileLock::Mode::shared);
  if (!lock) return refuse("another build uses it exclusively");
  const std::string name = mount.key + "/data";
  const auto directory = sys::try_open_at(impl.dir(Dir::mounts), name, O_RDONLY | O_DIRECTORY);
  if (!directory) return refuse("it is gone");
  const std::uint64_t bytes = tree_blocks(impl.dir(Dir::mounts), name);
  if (bytes > max_bytes) return refuse(cat("it has ", format_size(bytes), ", more than ", format_size(max_bytes)));
  oci::layer::PackOptions options;
  options.compression = oci::layer::Compression::zstd;
  options.cancel = cancel;
  try {
    const auto packed = oci::layer::pack_layer(directory->get(), store.blobs(), options);
    return RemoteIndex::MountEntry{mount.id, mount.key, packed.diff_id, packed.descriptor};
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space) throw;
    return refuse(error.what());  // a step that shares it has changed something under our hands
  }
}

void unpack_cache_mount(Store& store, const Layer& packed, int directory, const CancelSource* cancel) {
  const UniqueFd blob = store.blobs().open(packed.blob->digest);
  oci::layer::UnpackOptions options;
  options.whiteouts = oci::layer::Whiteouts::apply;
  options.user_xattr = store.impl().user_xattr;
  options.cancel = cancel;
  SideRecorder unread(true);  // nobody asks who owns the files of a cache where they cannot be given away
  if (store.owners_apart()) options.side = &unread;
  oci::layer::unpack(blob.get(), directory, options, &*packed.blob, &packed.diff_id);
}

}  // namespace cbuild::cache
