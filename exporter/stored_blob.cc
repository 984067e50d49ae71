// SPDX-License-Identifier: Apache-2.0
#include "exporter/stored_blob.h"

#include "base/missing_content.h"
#include "base/text.h"

namespace cbuild::exporter {

void verify_stored_blob(cache::Store& store, const Digest& digest) {
  verify_stored_blob(store, digest, sha256_fd(store.blobs().open(digest).get()));
}

void verify_stored_blob(cache::Store& store, const Digest& digest, const Digest& found) {
  if (found == digest) return;
  store.forget_blob(digest);
  throw missing_content(cat("store: blob ", digest.str(), " was damaged"));
}

}  // namespace cbuild::exporter
