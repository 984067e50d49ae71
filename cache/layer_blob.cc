// SPDX-License-Identifier: Apache-2.0
#include "cache/layer_blob.h"

#include <exception>
#include <optional>

#include "base/error.h"
#include "base/process/threads.h"
#include "base/text.h"
#include "cache/cached_layers.h"
#include "cache/growing_blob.h"
#include "cache/mounted_layer.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

using UseBlob = std::function<void(const Layer&)>;

bool is_damaged_or_missing(const Error& error) {
  return error.code() == ErrorCode::corrupt || error.code() == ErrorCode::missing_content;
}

// A blob that turns out to be damaged is a miss: it is dropped and brought once more.
void use_or_again(Store& store, const BlobAccess& access, const Layer& layer, const UseBlob& use) {
  try {
    use(layer);
  } catch (const Error& error) {
    if (!is_damaged_or_missing(error) || !access.fetch || layer.fetch_from.empty()) throw;
    store.forget_blob(layer.blob->digest);
    use(layer);
  }
}

/// Whether the blob is what its digest says, so that it is the manifest which is wrong about it.
bool is_lie(Store& store, const Layer& layer) {
  return store.blobs().size(layer.blob->digest) &&
         sha256_fd(store.blobs().open(layer.blob->digest).get()) == layer.blob->digest;
}

/// A wrong claim is forgotten with all that stands on it. Whether it was a cache's, and so only a miss.
bool drop_wrong_claim(Store& store, const Layer& layer) {
  if (is_from_cache(layer) || (store.impl().missing.is_claim(layer.id) && !is_missing_layer(store, layer.id))) {
    forget_missing_layer(store, layer.id);
    return true;
  }
  if (!layer.fetch_from.empty() && is_lie(store, layer)) store.impl().forget_layer(layer.id);
  return false;
}

}  // namespace

// Content that a remote cache promised and nobody can bring is missing: the step that made it has to run.
void use_layer_blob(Store& store, const Digest& id, const BlobAccess& access,
                    const std::function<bool(const Layer&)>& is_done, const UseBlob& use) {
  const auto cancelled = [&] { return access.cancel != nullptr && access.cancel->cancelled(); };
  const auto lock = store.wait_lock("unpack-" + id.hex(), cancelled);
  if (!lock) throw Error(ErrorCode::cancelled, "cancelled");
  const auto layer = store.layer(id);
  if (layer && is_done(*layer)) return;
  if (!layer || !layer->blob || (!layer->has_blob && layer->fetch_from.empty() && !open_archive(store, id))) {
    store.impl().forget_layer(id);
    store.impl().report_missing(cat("layer ", id.str(), " has neither tree nor blob"));
  }
  try {
    use_or_again(store, access, *layer, use);
  } catch (const Error& error) {
    if (!is_damaged_or_missing(error)) throw;
    if (drop_wrong_claim(store, *layer)) throw Error(ErrorCode::missing_content, error.message());
    if (access.fetch && !layer->fetch_from.empty()) throw;  // it came damaged twice
    store.forget_blob(layer->blob->digest);
    store.impl().forget_layer(id);
    store.impl().report_missing(cat("layer ", id.str(), " was damaged: ", error.what()));
  }
}

bool fetch_and_read(Store& store, const Layer& layer, const BlobAccess& access, const ReadBlob& read) {
  GrowingBlob growing(store, access.cancel);
  std::exception_ptr fetch_failure;
  std::optional<Error> failure;
  {
    const auto fetching = try_start_thread([&] {
      try {
        access.fetch(layer, growing);
      } catch (...) {
        fetch_failure = std::current_exception();
      }
      growing.end();
    });
    if (!fetching) {
      access.fetch(layer, store.blobs());
      return false;
    }
    // Whoever writes the blob digests it; a wrong byte between the two shows in the diff id.
    oci::Descriptor expected = *layer.blob;
    if (!layer.diff_id.empty()) expected.digest = {};
    try {
      read(oci::layer::ByteSource::Read([&](std::span<std::byte> room) { return growing.read(room); }), expected);
    } catch (const Error& error) {
      failure = error;
    }
  }
  if (fetch_failure) std::rethrow_exception(fetch_failure);
  if (!growing.was_whole()) return false;
  if (failure) throw Error(*failure);
  return true;
}

}  // namespace cbuild::cache
