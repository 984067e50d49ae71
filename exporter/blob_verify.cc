// SPDX-License-Identifier: Apache-2.0
#include "exporter/blob_verify.h"

#include "base/error.h"
#include "base/text.h"

namespace cbuild::exporter {

void verify_blob(cache::Store& store, const Digest& digest) {
  verify_blob(store, digest, sha256_fd(store.blobs().open(digest).get()));
}

void verify_blob(cache::Store& store, const Digest& digest, const Digest& found) {
  if (found == digest) return;
  store.forget_blob(digest);
  throw Error(ErrorCode::missing_content, cat("store: blob ", digest.str(), " was damaged"));
}

}  // namespace cbuild::exporter
