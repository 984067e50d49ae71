// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "oci/blob_store.h"
#include "oci/manifest.h"

namespace cbuild::oci {

/// An OCI image layout directory (image-layout.md). Reading tolerates the deviations of other tools; writing is exact.
class ImageLayout {
 public:
  /// Opens an existing layout; Error{not_found} or {corrupt} names the missing part.
  static ImageLayout open(const std::string& path);
  /// Makes or opens one for writing.
  static ImageLayout create(const std::string& path);

  BlobStore& blobs() { return *blobs_; }
  /// Opens a blob whichever digest it is named by; not verified. Errors as BlobStore::open().
  UniqueFd open_blob(const Descriptor& blob);
  Index index() const;
  /// Replaces index.json (temp and rename).
  void write_index(const Index& index);

  /// The descriptor of index.json that `selector` names: "" = the only or newest entry, "tag" =
  /// org.opencontainers.image.ref.name (whole name or its tag) or io.containerd.image.name, "@sha256:..." or
  /// "@sha512:..." = digest. Throws Error{not_found} that lists the images.
  Descriptor find(const std::string& selector) const;

 private:
  explicit ImageLayout(UniqueFd dir);
  UniqueFd dir_;
  std::unique_ptr<BlobStore> blobs_;
};

}  // namespace cbuild::oci
