// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/recompress.h"

#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "oci/compression/decoded_stream.h"
#include "oci/compression/source_reader.h"
#include "oci/layer/stargz_writer.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::uint64_t kMaxLayerBytes = 1ull << 42;  // as unpack()

/// Passes the archive on as it is.
void copy_archive(DecodedStream& decoded, const ByteSink& sink, PackedLayer& layer, const PackOptions& options) {
  ParallelCompressor compressor(options.compression, options.level, sink);
  for (auto bytes = decoded.next(); !bytes.empty(); bytes = decoded.next()) {
    if (options.cancel != nullptr) options.cancel->check();
    compressor.write(bytes);
    layer.uncompressed_size += bytes.size();
  }
  compressor.finish();
}

/// Tells of a file and reads it: its content has to be one piece of the archive.
void list_file(StargzWriter& stargz, TarReader& reader, const TarMember& member) {
  std::span<const std::byte> bytes;
  std::uint64_t offset = 0, expected = 0, first = 0;
  while (reader.data(bytes, offset)) {
    if (expected == 0) {
      first = reader.position();
      stargz.add(member, first);  // before more is read, and so passed on
    }
    if (offset != expected || reader.position() != first + offset) break;
    expected += bytes.size();
  }
  if (expected != member.entry.size)
    throw Error(ErrorCode::unsupported,
                cat(sanitize_for_terminal(member.entry.name), ": an estargz layer cannot have sparse files"));
}

/// The archive as it is, with a table of its members. A chunk is passed on when the next one is asked for: a member
/// whose content begins in it is known by then, as its header ends there.
void list_archive(DecodedStream& decoded, const ByteSink& sink, PackedLayer& layer, const PackOptions& options) {
  StargzWriter stargz(options.level, sink);
  std::span<const std::byte> last;
  const auto next = [&] {
    if (options.cancel != nullptr) options.cancel->check();
    stargz.write(last);
    last = decoded.next();
    return last;
  };
  TarReader reader(next);
  for (TarMember member; reader.next(member);) {
    const bool file = member.entry.type == EntryType::file && member.entry.size > 0;
    file ? list_file(stargz, reader, member) : stargz.add(member, 0);
  }
  while (!next().empty()) {
  }
  complete_stargz(layer, stargz.finish());
}

}  // namespace

PackedLayer recompress(int source_fd, const Digest& blob, const Digest& diff_id, BlobStore& blobs,
                       const PackOptions& options) {
  PackedLayer layer;
  const std::unique_ptr<BlobWriter> writer = blobs.create();
  const auto sink = [&](std::span<const std::byte> bytes) {
    writer->write(bytes);
    layer.descriptor.size += bytes.size();
  };
  SourceReader source(source_fd);
  DecodedStream decoded(source, kMaxLayerBytes);
  const bool listed = options.compression == Compression::estargz;
  listed ? list_archive(decoded, sink, layer, options) : copy_archive(decoded, sink, layer, options);
  const DecodedStream::Digests found = decoded.finish();
  if (found.source != blob) throw Error(ErrorCode::corrupt, cat("blob ", blob.str(), " is damaged"));
  if (found.decoded != diff_id)
    throw Error(ErrorCode::corrupt, cat("layer ", blob.str(), " does not have the diff id ", diff_id.str()));
  if (!listed) layer.diff_id = found.decoded;
  layer.descriptor.media_type = media_type(options.compression);
  layer.descriptor.digest = writer->commit();
  return layer;
}

}  // namespace cbuild::oci::layer
