// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "exporter/copy/image_place.h"
#include "oci/platform.h"

namespace cbuild::exporter {

struct CopyOptions {
  /// Of an index; empty: all of it. One makes an image of its manifest, several an index of theirs and of the
  /// attestations for them.
  std::vector<oci::Platform> platforms;
  bool referrers = false;  ///< signatures, attestations and other artifacts that name what is copied
  /// Told of each blob: whether bytes had to move. May be called by several threads at once.
  std::function<void(const oci::Descriptor& blob, bool moved)> told;
};

struct CopyResult {
  oci::Descriptor image;   ///< as it is at the target
  bool was_there = false;  ///< nothing had to be looked at
  std::uint64_t blobs = 0, moved_blobs = 0, moved_bytes = 0;
  std::uint64_t referrers = 0;
};

/// The image of `from`, or the part of it that `platforms` leave. Throws Error{not_found} for a platform that it has
/// not.
ImageDocument chosen_image(ImagePlace& from, const std::vector<oci::Platform>& platforms);

/// Copies an image: blobs that the target lacks, several at once, then the manifests, then the name. A target that has
/// the image under its name already is asked nothing else. Throws Error; the name is not changed then.
CopyResult copy_image(ImagePlace& from, ImagePlace& to, const CopyOptions& options);

/// The same for an image that lies in several places: `image` is new, `source_of` says where each of its manifests is.
CopyResult copy_assembled(const ImageDocument& image, const std::function<ImagePlace&(const Digest&)>& source_of,
                          ImagePlace& to, const CopyOptions& options);

}  // namespace cbuild::exporter
