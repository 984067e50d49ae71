// SPDX-License-Identifier: Apache-2.0
#include "oci/blob_store.h"

#include <vector>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/sha512.h"

namespace cbuild::oci {

std::string read_blob(BlobStore& store, const Digest& digest, std::size_t limit) {
  const UniqueFd fd = store.open(digest);
  const auto size = static_cast<std::uint64_t>(sys::stat_fd(fd.get()).st_size);
  if (size > limit) throw Error(ErrorCode::corrupt, cat("blob ", digest.str(), " is larger than ", limit, " bytes"));
  std::string data = sys::read_all(fd.get(), limit);
  if (sha256(data) != digest) {
    throw Error(ErrorCode::corrupt, cat("blob ", digest.str(), " does not match its digest"));
  }
  return data;
}

namespace {

/// Documents are small: an existing one is read, so that a damaged one is written again.
bool is_whole(BlobStore& store, const Descriptor& document) {
  if (store.size(document.digest) != document.size) return false;
  try {
    return read_blob(store, document.digest, document.size).size() == document.size;
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    if (code != ErrorCode::corrupt && code != ErrorCode::missing_content && code != ErrorCode::not_found) throw;
    return false;
  }
}

}  // namespace

Descriptor put_blob(BlobStore& store, std::string_view data, std::string media_type) {
  Descriptor out;
  out.media_type = std::move(media_type);
  out.digest = sha256(data);
  out.size = data.size();
  if (is_whole(store, out)) return out;
  const std::unique_ptr<BlobWriter> writer = store.create();
  writer->write(std::as_bytes(std::span(data)));
  writer->commit(out.digest, out.size);
  return out;
}

void copy_blob(BlobStore& from, BlobStore& to, const Descriptor& blob) {
  copy_file(from.open(blob.digest).get(), to, blob);
}

Digest copy_file(int from, BlobStore& to, const Descriptor& blob) {
  constexpr std::size_t kBuffer = 1u << 20;
  const std::unique_ptr<BlobWriter> out = to.create();
  std::vector<std::byte> buffer(kBuffer);
  Sha512 hash;
  while (const std::size_t got = sys::read_some(from, buffer)) {
    out->write(std::span(buffer).first(got));
    if (!blob.sha512.empty()) hash.update(std::span(buffer).first(got));
  }
  if (!blob.sha512.empty() && hash.finish() != blob.sha512)
    throw Error(ErrorCode::corrupt, cat("blob ", blob.sha512, " does not match its digest"));
  return out->commit(blob.digest, blob.size);
}

void check_written(const Digest& digest, std::uint64_t size, const Digest& expected,
                   std::optional<std::uint64_t> expected_size) {
  if (expected_size && *expected_size != size)
    throw Error(ErrorCode::corrupt, cat("blob has ", size, " bytes instead of ", *expected_size));
  if (!expected.empty() && expected != digest)
    throw Error(ErrorCode::corrupt, cat("blob has digest ", digest.str(), " instead of ", expected.str()));
}

}  // namespace cbuild::oci
