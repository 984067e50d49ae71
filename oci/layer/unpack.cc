// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/unpack.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/decoded_stream.h"
#include "oci/layer/decoder.h"
#include "oci/layer/extract.h"
#include "oci/layer/source_reader.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::uint64_t kMaxEntries = 1u << 24;
constexpr std::size_t kProbeSize = 16u << 10;

void check_digest(const Digest& found, const Digest& expected, std::string_view what) {
  if (found != expected) throw Error(ErrorCode::corrupt, cat(what, " is ", found.str(), ", expected ", expected.str()));
}

void verify(const SourceReader& source, const UnpackResult& result, const Descriptor* expected, const Digest* diff_id) {
  if (expected) {
    if (source.total() != expected->size) {
      throw Error(ErrorCode::corrupt, cat("the blob has ", source.total(), " bytes, expected ", expected->size));
    }
    check_digest(result.blob_digest, expected->digest, "the digest of the blob");
  }
  if (diff_id) check_digest(result.diff_id, *diff_id, "the digest of the uncompressed layer");
}

/// Extracts every member and returns how many there were.
std::uint64_t extract_all(TarReader& reader, Extractor& extractor) {
  const auto data = [&reader](std::span<const std::byte>& bytes, std::uint64_t& offset) {
    return reader.data(bytes, offset);
  };
  std::uint64_t entries = 0;
  for (TarMember member; reader.next(member); ++entries) {
    if (entries == kMaxEntries) throw Error(ErrorCode::corrupt, cat("more than ", kMaxEntries, " entries"));
    try {
      extractor.add(member, data);
    } catch (Error& error) {
      throw error.add_context(sanitize_for_terminal(member.entry.name));
    }
  }
  return entries;
}

}  // namespace

UnpackResult unpack(int source_fd, int target_dirfd, const UnpackOptions& options, const Descriptor* expected,
                    const Digest* expected_diff_id) {
  SourceReader source(source_fd, expected ? expected->size : SourceReader::kUnlimited);
  DecodedStream stream(source, options.max_bytes);
  TarReader reader([&] {
    if (options.cancel) options.cancel->check();
    if (options.progress) options.progress(source.total());
    return stream.next();
  });
  Extractor extractor(target_dirfd, options);
  UnpackResult result;
  result.entries = extract_all(reader, extractor);
  extractor.finish();
  result.devices_as_files = extractor.devices_as_files();
  const DecodedStream::Digests digests = stream.finish();
  result.blob_digest = digests.source;
  result.diff_id = digests.decoded;
  if (options.progress) options.progress(source.total());
  verify(source, result, expected, expected_diff_id);
  return result;
}

namespace {

/// Reads the members of an archive in a regular file, from its offset, until `take` says false. False: it is not an
/// archive, or breaks.
bool scan_members(int fd, const std::function<bool(const TarMember&)>& take) {
  if (!S_ISREG(sys::stat_fd(fd).st_mode)) return false;
  const off_t offset = lseek(fd, 0, SEEK_CUR);
  if (offset < 0) throw_errno(errno, "seek");
  bool whole = false;
  try {
    SourceReader source(fd);
    Decoder decoder(source);
    std::array<std::byte, kProbeSize> chunk;
    TarReader reader([&] { return std::span<const std::byte>(chunk).first(decoder.read(chunk)); });
    TarMember member;
    while (reader.next(member) && take(member)) {
    }
    whole = true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
  }
  if (lseek(fd, offset, SEEK_SET) < 0) throw_errno(errno, "seek");
  return whole;
}

}  // namespace

bool is_archive(int fd) {
  bool found = false;
  return scan_members(fd,
                      [&](const TarMember&) {
                        found = true;
                        return false;
                      }) &&
         found;
}

std::optional<std::int64_t> newest_file_time(int fd) {
  std::optional<std::int64_t> newest;
  const bool whole = scan_members(fd, [&](const TarMember& member) {
    const TarEntry& entry = member.entry;
    if (entry.type == EntryType::file || entry.type == EntryType::hardlink)
      newest = std::max(newest.value_or(entry.mtime_s), entry.mtime_s);
    return true;
  });
  return whole ? newest : std::nullopt;
}

}  // namespace cbuild::oci::layer
