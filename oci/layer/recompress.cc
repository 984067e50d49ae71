// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/recompress.h"

#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/decoded_stream.h"
#include "oci/layer/source_reader.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::uint64_t kMaxLayerBytes = 1ull << 42;  // as unpack()

}  // namespace

PackedLayer recompress(int source_fd, const Digest& blob, const Digest& diff_id, BlobStore& blobs,
                       const PackOptions& options) {
  PackedLayer layer;
  const std::unique_ptr<BlobWriter> writer = blobs.create();
  ParallelCompressor compressor(options.compression, options.level, [&](std::span<const std::byte> bytes) {
    writer->write(bytes);
    layer.descriptor.size += bytes.size();
  });
  SourceReader source(source_fd);
  DecodedStream decoded(source, kMaxLayerBytes);
  for (auto bytes = decoded.next(); !bytes.empty(); bytes = decoded.next()) {
    if (options.cancel != nullptr) options.cancel->check();
    compressor.write(bytes);
    layer.uncompressed_size += bytes.size();
  }
  compressor.finish();
  const DecodedStream::Digests found = decoded.finish();
  if (found.source != blob) throw Error(ErrorCode::corrupt, cat("blob ", blob.str(), " is damaged"));
  if (found.decoded != diff_id)
    throw Error(ErrorCode::corrupt, cat("layer ", blob.str(), " does not have the diff id ", diff_id.str()));
  layer.diff_id = found.decoded;
  layer.descriptor.media_type = media_type(options.compression);
  layer.descriptor.digest = writer->commit();
  return layer;
}

}  // namespace cbuild::oci::layer
