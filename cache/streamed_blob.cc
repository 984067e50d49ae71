// SPDX-License-Identifier: Apache-2.0
#include "cache/streamed_blob.h"

#include <exception>
#include <optional>

#include "base/error.h"
#include "base/threads.h"
#include "cache/growing_blob.h"

namespace cbuild::cache {

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
