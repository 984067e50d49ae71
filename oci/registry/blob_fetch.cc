// SPDX-License-Identifier: Apache-2.0
// Downloads one blob. A transfer is a series of attempts that share a PartialBlob, so an attempt after a broken one
// asks for the rest only. If the digest is wrong at the end, the parts may be of two files, and it is fetched once more
// in one piece. Signed URLs of a storage expire; the registry then gives a new one.
#include "oci/registry/blob_fetch.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/registry/partial_blob.h"
#include "oci/sha512.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::uint64_t kProgress = 1u << 20;  // an attempt that got so much further does not count as failed
constexpr unsigned kMostExpired = 3;

class Download {
 public:
  Download(Transport& transport, Call call, const Descriptor& descriptor, const MakeWriter& make,
           const Transferred& progress)
      : transport_(transport), call_(std::move(call)), blob_(descriptor, make, progress) {
    call_.request.sink = [this](const http::Response& head, std::span<const std::byte> data) {
      blob_.take(head, data);
    };
  }

  /// The digest of the stored blob; after run() has succeeded.
  const Digest& digest() const { return *digest_; }

  /// The failed answer when the registry does not have the blob; nullopt on success.
  std::optional<Transport::Answer> run() {
    unsigned attempt = 1, expired = 0;
    while (!digest_) {
      const std::uint64_t before = blob_.received();
      Transport::Answer answer = try_again_if_damaged();
      if (answer.response.ok() || (blob_.is_complete() && blob_.received() > 0)) {
        commit();
        continue;
      }
      if (!answer.response.failure && answer.response.status == 404) return answer;
      if (blob_.received() - std::min(before, blob_.received()) >= kProgress) attempt = 1;
      const int status = answer.response.status;
      if (answer.foreign && !answer.response.failure && (status == 401 || status == 403) && ++expired < kMostExpired) {
        continue;  // signed storage URLs expire; the registry gives a new one
      }
      if (!transport_.again(call_, answer, attempt++)) transport_.fail(call_, answer);
    }
    return std::nullopt;
  }

 private:
  /// Once; parts of two answers may also be parts of two different files.
  void begin_again_after(const Error& error) {
    if (error.code() != ErrorCode::corrupt || std::exchange(begun_again_, true)) throw error;
    Transport::Answer answer;
    answer.response.failure = {http::TransportFailure::Kind::damaged, error.what()};
    answer.url = call_.request.url;
    if (!transport_.again(call_, answer, 1)) throw error;
    blob_.restart();
  }

  Transport::Answer try_again_if_damaged() {
    try {
      return try_once();
    } catch (const Error& error) {
      begin_again_after(error);
      return try_once();
    }
  }

  Transport::Answer try_once() {
    Call call = call_;
    blob_.begin_answer();
    if (blob_.received() > 0) call.request.headers.emplace_back("Range", cat("bytes=", blob_.received(), '-'));
    Transport::Answer answer;
    try {
      answer = transport_.once(call);
    } catch (const BadRange&) {
      answer.response.failure = {http::TransportFailure::Kind::broken, "the answer to a Range request does not fit"};
      answer.url = call.request.url;
      blob_.restart();
    }
    if (!answer.response.failure && answer.response.status == 416) {
      answer.response.failure = {http::TransportFailure::Kind::broken, "Range is not satisfiable"};
      blob_.restart();
    }
    // A complete answer that is short of bytes is as good as a broken connection.
    if (answer.response.ok() && !blob_.is_complete())
      answer.response.failure = {http::TransportFailure::Kind::broken, blob_.describe_shortage()};
    return answer;
  }

  void commit() {
    try {
      digest_ = blob_.commit();
    } catch (const Error& error) {
      begin_again_after(error);
    }
  }

  Transport& transport_;
  Call call_;
  PartialBlob blob_;
  std::optional<Digest> digest_;
  bool begun_again_ = false;
};

std::optional<Digest> write_embedded(const Descriptor& descriptor, const MakeWriter& make,
                                     const Transferred& progress) {
  if (!descriptor.data || descriptor.data->size() != descriptor.size) return std::nullopt;
  const Digest digest = sha256(*descriptor.data);
  if (descriptor.sha512.empty() ? digest != descriptor.digest : sha512(*descriptor.data) != descriptor.sha512)
    return std::nullopt;
  const std::unique_ptr<BlobWriter> writer = make();
  writer->write(std::as_bytes(std::span(*descriptor.data)));
  writer->commit(digest, descriptor.size);
  if (progress) progress(descriptor.size, descriptor.size);
  return digest;
}

Digest download_from(Transport& transport, const Source& source, const Descriptor& descriptor, const MakeWriter& make,
                     const Transferred& progress) {
  try {
    const Call call = transport.read(source, "blobs/" + descriptor.name());
    Download here(transport, call, descriptor, make, progress);
    const auto missing = here.run();
    if (!missing) return here.digest();
    for (const std::string& text : descriptor.urls) {  // "foreign" layers live elsewhere
      const std::optional<http::Url> url = http::parse_url(text);
      if (!url || source.has_alternative) continue;
      Call elsewhere = call;
      elsewhere.request.url = transport.follow(call, call.request.url, text);
      Download there(transport, elsewhere, descriptor, make, progress);
      if (!there.run()) return there.digest();
    }
    transport.fail(call, *missing);
  } catch (Error& e) {
    if (e.code() == ErrorCode::corrupt) e.add_context(source.doing);
    throw;
  }
}

}  // namespace

Digest download_blob(Transport& transport, const Reference& reference, const Descriptor& descriptor,
                     const MakeWriter& make, const Transferred& progress) {
  if (const auto digest = write_embedded(descriptor, make, progress)) return *digest;
  const std::string doing = cat("pull of ", descriptor.name(), " from ", reference.name());
  std::optional<Digest> out;
  transport.sources().ask(reference, routes::Asking::blob, doing, [&](const Source& source) {
    out = download_from(transport, source, descriptor, make, progress);
  });
  return *out;
}

}  // namespace cbuild::oci::registry
