// SPDX-License-Identifier: Apache-2.0
//
// Layers of images get their trees when the first step needs them, not when FROM is resolved. materialize() works on
// all missing layers of a chain at once; what goes wrong with a blob is in layer_blob.cc. open_lowers() keeps within
// the kernel's limit on overlay layers by flattening the lower part of a long chain (flatten.cc).
#include "cache/unpacker.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/duplicate.h"
#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/process/threads.h"
#include "base/text.h"
#include "cache/content/layer_dir.h"
#include "cache/flatten.h"
#include "cache/layer_blob.h"
#include "cache/mounted_layer.h"
#include "cache/store_impl.h"
#include "oci/layer/layer_pass.h"
#include "oci/layer/unpack.h"

namespace cbuild::cache {

namespace {

/// Transfers and unpacking wait for the network and the disk more than for a core.
constexpr std::size_t kUnpacksAtOnce = 4;

struct Job {
  Store& store;
  const BlobFetcher& fetch;
  const CancelSource* cancel;
  const BlobProgress& progress;
};

enum class Form { mounted, unpacked };

Form form_of(const Job& job, const Layer& layer) {
  return should_mount(job.store, layer) ? Form::mounted : Form::unpacked;
}

/// Verifies diff id and size, and the digest if `expected` has one. Throws Error{unsupported} if the layer can only be
/// unpacked.
Staging make_tree(const Job& job, const Layer& layer, Form form, oci::layer::ByteSource source,
                  const oci::Descriptor& expected) {
  const Digest* diff_id = layer.diff_id.empty() ? nullptr : &layer.diff_id;
  const auto progress = [&](std::uint64_t bytes) {
    if (job.progress) job.progress(layer, bytes, expected.size);
  };
  Staging staging = job.store.stage(form == Form::mounted ? "mount" : "unpack");
  if (form == Form::mounted) {
    oci::layer::PassOptions pass;
    pass.cancel = job.cancel;
    pass.progress = progress;
    pass.expected = &expected;
    pass.expected_diff_id = diff_id;
    write_mounted(job.store, layer, std::move(source), pass, staging);
  } else {
    oci::layer::UnpackOptions options;
    options.user_xattr = job.store.impl().user_xattr;
    options.side = staging.side();
    options.cancel = job.cancel;
    options.progress = progress;
    oci::layer::unpack(std::move(source), staging.tree_fd(), options, &expected, diff_id);
  }
  return staging;
}

void make_stored(const Job& job, const Layer& layer, Form form) {
  const UniqueFd blob = job.store.blobs().open(layer.blob->digest);
  try {
    job.store.add_tree(layer, make_tree(job, layer, form, blob.get(), *layer.blob));
  } catch (const Error& error) {
    if (form == Form::unpacked || error.code() != ErrorCode::unsupported) throw;
    make_stored(job, layer, Form::unpacked);
  }
}

/// Makes a tree of a blob while it is fetched.
void fetch_and_make(const Job& job, const Layer& layer) {
  const Form form = form_of(job, layer);
  std::optional<Staging> staging;
  const auto read = [&](oci::layer::ByteSource source, const oci::Descriptor& expected) {
    staging = make_tree(job, layer, form, std::move(source), expected);
  };
  try {
    if (!fetch_and_read(job.store, layer, {job.fetch, job.cancel}, read)) return make_stored(job, layer, form);
  } catch (const Error& error) {
    const bool not_mounted = form == Form::mounted && error.code() == ErrorCode::unsupported;
    if (!not_mounted || !job.store.blobs().size(layer.blob->digest)) throw;
    return make_stored(job, layer, Form::unpacked);
  }
  job.store.add_tree(layer, std::move(*staging));
}

/// Unpacks the archive of a mounted layer, where mounting has become impossible and the blob has gone.
bool unpack_archive(const Job& job, const Layer& layer) {
  const auto kept = open_archive(job.store, layer.id);
  if (!kept || kept->descriptor.digest != layer.diff_id) return false;
  try {
    job.store.add_tree(layer, make_tree(job, layer, Form::unpacked, kept->file.get(), kept->descriptor));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt || layer.fetch_from.empty()) throw;
    return false;
  }
  return true;
}

void unpack_blob(const Job& job, const Layer& layer) {
  if (job.store.blobs().size(layer.blob->digest)) return make_stored(job, layer, form_of(job, layer));
  if (unpack_archive(job, layer)) return;
  if (!job.fetch) throw Error(ErrorCode::not_found, cat("blob ", layer.blob->digest.str(), " is not in the store"));
  fetch_and_make(job, layer);
}

}  // namespace

std::vector<Digest> without_hidden(const std::vector<Digest>& layers) {
  std::unordered_set<Digest> seen;
  std::vector<Digest> out;
  for (std::size_t i = layers.size(); i-- > 0;)
    if (seen.insert(layers[i]).second) out.push_back(layers[i]);
  std::reverse(out.begin(), out.end());
  return out;
}

unsigned layers_at_once(unsigned most) {
  constexpr unsigned kFewest = 4, kFilesOfAnUnpack = 4;
  return std::min(most, std::max(kFewest, jobs_within_open_files(most, kFilesOfAnUnpack)));
}

bool has_usable_tree(Store& store, const Layer& layer) {
  return layer.has_tree && (store.impl().may_mount_layers() || store.impl().tree_stands(layer.id));
}

void for_each_layer(const std::vector<Digest>& layers, const std::function<void(const Digest&)>& action) {
  std::mutex mutex;  // guards missing
  std::exception_ptr missing;
  run_at_once(layers.size(), kUnpacksAtOnce, [&](std::size_t i) {
    try {
      action(layers[i]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::missing_content) throw;
      const std::scoped_lock lock(mutex);
      missing = std::current_exception();
    }
  });
  if (missing) std::rethrow_exception(missing);
}

void materialize(Store& store, const Digest& chain, const BlobFetcher& fetch, const CancelSource* cancel,
                 const BlobProgress& progress) {
  store.pin_chain(chain);
  std::vector<Digest> missing;
  for (const Digest& id : store.chain_layers(chain)) {
    const auto layer = store.layer(id);
    if ((!layer || !has_usable_tree(store, *layer)) && std::find(missing.begin(), missing.end(), id) == missing.end())
      missing.push_back(id);
  }
  for_each_layer(missing, [&](const Digest& id) { materialize_layer(store, id, {fetch, cancel, progress}); });
}

void materialize_layer(Store& store, const Digest& id, const BlobAccess& access) {
  const auto is_done = [&](const Layer& layer) { return layer.has_tree && store.impl().tree_stands(id); };
  use_layer_blob(store, id, access, is_done, [&](const Layer& layer) {
    unpack_blob({store, access.fetch, access.cancel, access.progress}, layer);
  });
}

std::vector<UniqueFd> open_lowers(Store& store, const Digest& chain, unsigned max_layers) {
  store.pin_chain(chain);
  return open_lowers_of(store, store.chain_layers(chain), max_layers);
}

std::vector<UniqueFd> open_lowers_of(Store& store, const std::vector<Digest>& chain_layers, unsigned max_layers) {
  const std::vector<Digest> layers = without_hidden(chain_layers);
  max_layers = layers_at_once(max_layers);
  const std::size_t below = flat_prefix(layers.size(), max_layers);
  std::vector<UniqueFd> out;
  for (std::size_t i = layers.size(); i-- > below;) out.push_back(duplicate(store.layer_dir(layers[i])->fd()));
  if (below > 0)
    out.push_back(open_flat(store, {layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(below)}, max_layers));
  return out;
}

TreeView open_view(Store& store, const Digest& chain) {
  const bool user_xattr = store.impl().user_xattr;
  store.pin_chain(chain);
  const std::vector<Digest> layers = without_hidden(store.chain_layers(chain));
  if (layers.size() > layers_at_once(kMostInView)) return {open_lowers(store, chain), true, user_xattr};
  std::vector<std::shared_ptr<const LayerTree>> trees;
  try {
    for (std::size_t i = layers.size(); i-- > 0;) trees.push_back(store.layer_dir(layers[i]));
  } catch (const Error& error) {
    if (error.sys_errno() != EMFILE) throw;
    return {open_lowers(store, chain), true, user_xattr};
  }
  return TreeView::of_shared(std::move(trees), user_xattr);
}

}  // namespace cbuild::cache
