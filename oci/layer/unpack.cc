// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/unpack.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/compression/decoder.h"
#include "oci/compression/source_reader.h"
#include "oci/layer/extract.h"
#include "oci/layer/layer_pass.h"
#include "oci/layer/tar_reader.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kProbeSize = 16u << 10;

}  // namespace

UnpackResult unpack(ByteSource source, int target_dirfd, const UnpackOptions& options, const Descriptor* expected,
                    const Digest* expected_diff_id) {
  Extractor extractor(target_dirfd, options);
  PassOptions pass{options.max_bytes, options.cancel, options.progress, nullptr, expected, expected_diff_id};
  pass.before_chunk = [&] { extractor.end_of_chunk(); };
  UnpackResult result;
  try {
    result = read_members(std::move(source), pass,
                          [&](const TarMember& member, TarReader& reader) { extractor.add(member, reader); });
  } catch (const Error&) {
    extractor.wait();  // what came before it in the archive may have failed too
    throw;
  }
  extractor.finish();
  result.devices_as_files = extractor.devices_as_files();
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
