// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/layer_pass.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "oci/compression/decoded_stream.h"
#include "oci/compression/source_reader.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

void check_digest(const Digest& found, const Digest& expected, std::string_view what) {
  if (found != expected) throw Error(ErrorCode::corrupt, cat(what, " is ", found.str(), ", expected ", expected.str()));
}

void verify(const SourceReader& source, const UnpackResult& result, const PassOptions& options) {
  if (const Descriptor* expected = options.expected) {
    if (source.total() != expected->size) {
      throw Error(ErrorCode::corrupt, cat("the blob has ", source.total(), " bytes, expected ", expected->size));
    }
    if (!expected->digest.empty()) check_digest(result.blob_digest, expected->digest, "the digest of the blob");
  }
  if (options.expected_diff_id)
    check_digest(result.diff_id, *options.expected_diff_id, "the digest of the uncompressed layer");
}

/// Gives every member away and returns how many there were.
std::uint64_t take_all(TarReader& reader, const TakeMember& take) {
  std::uint64_t entries = 0;
  for (TarMember member; reader.next(member); ++entries) {
    if (entries == kMaxEntries) throw Error(ErrorCode::corrupt, cat("more than ", kMaxEntries, " entries"));
    try {
      take(member, reader);
    } catch (Error& error) {
      throw error.add_context(sanitize_for_terminal(member.entry.name));
    }
  }
  return entries;
}

}  // namespace

UnpackResult read_members(ByteSource from, const PassOptions& options, const TakeMember& take) {
  const Descriptor* expected = options.expected;
  SourceReader source(std::move(from), expected ? expected->size : SourceReader::kUnlimited,
                      expected == nullptr || !expected->digest.empty());
  DecodedStream stream(source, options.max_bytes);
  UnpackResult result;
  const auto next = [&] {
    if (options.cancel) options.cancel->check();
    if (options.progress) options.progress(source.total());
    if (options.before_chunk) options.before_chunk();
    const std::span<const std::byte> chunk = stream.next();
    result.archive_size += chunk.size();
    if (options.uncompressed && !chunk.empty()) options.uncompressed(chunk);
    return chunk;
  };
  TarReader reader(next, [&stream](std::span<const std::byte> bytes) { return stream.keep(bytes); });
  result.entries = take_all(reader, take);
  while (!next().empty()) {
  }
  const DecodedStream::Digests digests = stream.finish();
  result.blob_digest = digests.source;
  result.diff_id = digests.decoded;
  if (options.progress) options.progress(source.total());
  verify(source, result, options);
  return result;
}

}  // namespace cbuild::oci::layer
