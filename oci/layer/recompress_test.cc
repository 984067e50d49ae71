// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/recompress.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "oci/layout.h"

namespace cbuild::oci::layer {

TEST_CASE("a layer goes into every compression and back, and keeps its diff id") {
  const TempDir dir = TempDir::in_tmp("recompress-test-");
  ImageLayout layout = ImageLayout::create(dir.path() + "/layout");
  BlobStore& blobs = layout.blobs();
  sys::mkdir_at(dir.fd(), "tree", 0755);
  sys::write_file_at(dir.fd(), "tree/file", std::string(3 << 20, 'x'));
  const UniqueFd tree = sys::open_at(dir.fd(), "tree", O_RDONLY | O_DIRECTORY);
  const PackedLayer first = pack_layer(tree.get(), blobs, {});
  PackedLayer last = first;
  for (const Compression to : {Compression::zstd, Compression::none, Compression::gzip}) {
    PackOptions options;
    options.compression = to;
    const UniqueFd from = blobs.open(last.descriptor.digest);
    last = recompress(from.get(), last.descriptor.digest, first.diff_id, blobs, options);
    CHECK(last.diff_id == first.diff_id);
    CHECK(last.descriptor.media_type == media_type(to));
    CHECK(blobs.size(last.descriptor.digest) == last.descriptor.size);
    CHECK(last.uncompressed_size == first.uncompressed_size);
  }
  CHECK(last.descriptor == first.descriptor);
}

TEST_CASE("a blob that is not what it is said to be is not encoded") {
  const TempDir dir = TempDir::in_tmp("recompress-test-");
  ImageLayout layout = ImageLayout::create(dir.path() + "/layout");
  const Descriptor blob = put_blob(layout.blobs(), std::string(1024, '\0'), "x");
  PackOptions options;
  options.compression = Compression::zstd;
  const auto code = [&](const Digest& digest, const Digest& diff_id) {
    try {
      recompress(layout.blobs().open(blob.digest).get(), digest, diff_id, layout.blobs(), options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  CHECK(code(blob.digest, sha256("another")) == ErrorCode::corrupt);
  CHECK(code(sha256("another"), blob.digest) == ErrorCode::corrupt);
  const UniqueFd all = sys::open_at(dir.fd(), "layout/blobs/sha256", O_RDONLY | O_DIRECTORY);
  CHECK(sys::list_dir(all.get()) == std::vector<std::string>{blob.digest.hex()});
}

}  // namespace cbuild::oci::layer
