// SPDX-License-Identifier: Apache-2.0
// Downloads one blob. A transfer is a series of attempts that share a writer, which has hashed what it got; so an
// attempt after a broken one asks for the rest only, and a server that sends everything again is read past the known
// part. If the digest is wrong at the end, the parts may be of two files, and it is fetched once more in one piece.
// Signed URLs of a storage expire; the registry then gives a new one.
#include "oci/registry/blob_fetch.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/sha512.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::uint64_t kProgress = 1u << 20;  // an attempt that got so much further does not count as failed
constexpr unsigned kMostExpired = 3;

struct BadRange {};  ///< leaves the sink when an answer does not continue where we are

/// First byte of "bytes 5-9/10".
std::optional<std::uint64_t> range_start(std::string_view header) {
  if (!header.starts_with("bytes ")) return std::nullopt;
  header.remove_prefix(6);
  const auto start = parse_int(header.substr(0, header.find('-')));
  return start && *start >= 0 ? std::optional(static_cast<std::uint64_t>(*start)) : std::nullopt;
}

class Download {
 public:
  Download(Session& session, Call call, const Descriptor& descriptor, const MakeWriter& make,
           const Transferred& progress)
      : session_(session), call_(std::move(call)), descriptor_(descriptor), make_(make), progress_(progress) {
    call_.request.sink = [this](const http::Response& head, std::span<const std::byte> data) { take(head, data); };
  }

  /// The digest of the stored blob; after run() has succeeded.
  const Digest& digest() const { return digest_; }

  /// The failed answer when the registry does not have the blob; nullopt on success.
  std::optional<Session::Answer> run() {
    restart();
    unsigned attempt = 1, expired = 0;
    while (!committed_) {
      const std::uint64_t before = received_;
      Session::Answer answer = try_again_if_damaged();
      if (answer.response.ok() || (received_ == descriptor_.size && received_ > 0)) {
        commit();
        continue;
      }
      if (!answer.response.failure && answer.response.status == 404) return answer;
      if (received_ - std::min(before, received_) >= kProgress) attempt = 1;
      const int status = answer.response.status;
      if (answer.foreign && !answer.response.failure && (status == 401 || status == 403) && ++expired < kMostExpired) {
        continue;  // signed storage URLs expire; the registry gives a new one
      }
      if (!session_.again(call_, answer, attempt++)) session_.fail(call_, answer);
    }
    return std::nullopt;
  }

 private:
  void restart() {
    writer_ = make_();
    if (!descriptor_.sha512.empty()) sha512_.emplace();
    received_ = 0;
  }

  /// Once; parts of two answers may also be parts of two different files.
  void begin_again_after(const Error& error) {
    if (error.code() != ErrorCode::corrupt || std::exchange(begun_again_, true)) throw error;
    Session::Answer answer;
    answer.response.failure = {http::TransportFailure::Kind::damaged, error.what()};
    answer.url = call_.request.url;
    if (!session_.again(call_, answer, 1)) throw error;
    restart();
  }

  Session::Answer try_again_if_damaged() {
    try {
      return try_once();
    } catch (const Error& error) {
      begin_again_after(error);
      return try_once();
    }
  }

  Session::Answer try_once() {
    Call call = call_;
    begun_ = false;
    if (received_ > 0) {
      call.request.headers.emplace_back("Range", cat("bytes=", received_, '-'));
    }
    Session::Answer answer;
    try {
      answer = session_.once(call);
    } catch (const BadRange&) {
      answer.response.failure = {http::TransportFailure::Kind::broken, "the answer to a Range request does not fit"};
      answer.url = call.request.url;
      restart();
    }
    if (!answer.response.failure && answer.response.status == 416) restart_after(answer);
    if (answer.response.ok()) note_end(answer);
    return answer;
  }

  void restart_after(Session::Answer& answer) {
    answer.response.failure = {http::TransportFailure::Kind::broken, "Range is not satisfiable"};
    restart();
  }

  /// A complete answer that is short of bytes is as good as a broken connection.
  void note_end(Session::Answer& answer) {
    if (received_ == descriptor_.size) return;
    answer.response.failure = {http::TransportFailure::Kind::broken,
                               cat("only ", received_, " of ", descriptor_.size, " bytes came")};
  }

  void begin(const http::Response& head) {
    begun_ = true;
    skip_ = received_;
    if (head.status == 206) {
      const auto start = range_start(head.header("content-range"));
      if (!start || *start > received_) throw BadRange{};
      skip_ = received_ - *start;
      return;
    }
    const auto length = parse_int(head.header("content-length"));
    if (length && static_cast<std::uint64_t>(*length) != descriptor_.size) {
      throw Error(ErrorCode::corrupt,
                  cat("the registry has ", *length, " bytes, the descriptor says ", descriptor_.size));
    }
  }

  void take(const http::Response& head, std::span<const std::byte> data) {
    if (!begun_) begin(head);
    const std::size_t known = std::min<std::uint64_t>(skip_, data.size());
    skip_ -= known;
    data = data.subspan(known);
    if (data.empty()) return;
    if (data.size() > descriptor_.size - received_) {
      throw Error(ErrorCode::corrupt, cat("more than the ", descriptor_.size, " bytes of the descriptor came"));
    }
    writer_->write(data);
    if (sha512_) sha512_->update(data);
    received_ += data.size();
    if (progress_) progress_(received_, descriptor_.size);
  }

  void commit() {
    try {
      if (const std::string found = sha512_ ? sha512_->finish() : ""; found != descriptor_.sha512)
        throw Error(ErrorCode::corrupt, cat("digest is ", found, " instead of ", descriptor_.sha512));
      digest_ = writer_->commit(descriptor_.digest, descriptor_.size);
      committed_ = true;
    } catch (const Error& error) {
      begin_again_after(error);
    }
  }

  Session& session_;
  Call call_;
  const Descriptor& descriptor_;
  const MakeWriter& make_;
  const Transferred& progress_;
  std::unique_ptr<BlobWriter> writer_;
  std::optional<Sha512> sha512_;
  Digest digest_;
  std::uint64_t received_ = 0;
  std::uint64_t skip_ = 0;  ///< bytes of the running answer that are known already
  bool begun_ = false;      ///< the running answer has brought bytes
  bool begun_again_ = false;
  bool committed_ = false;
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

}  // namespace

Digest download_blob(Session& session, const Reference& reference, const Descriptor& descriptor, const MakeWriter& make,
                     const Transferred& progress) {
  if (const auto digest = write_embedded(descriptor, make, progress)) return *digest;
  const std::string doing = cat("pull of ", descriptor.name(), " from ", reference.name());
  try {
    const Call call =
        session.call(reference, "blobs/" + descriptor.name(), ScopeSet::pull(reference.repository), doing);
    Download here(session, call, descriptor, make, progress);
    const auto missing = here.run();
    if (!missing) return here.digest();
    for (const std::string& text : descriptor.urls) {  // "foreign" layers live elsewhere
      const std::optional<http::Url> url = http::parse_url(text);
      if (!url) continue;
      Call elsewhere = call;
      elsewhere.request.url = session.follow(call, call.request.url, text);
      Download there(session, elsewhere, descriptor, make, progress);
      if (!there.run()) return there.digest();
    }
    session.fail(call, *missing);
  } catch (Error& e) {
    if (e.code() == ErrorCode::corrupt) e.add_context(doing);
    throw;
  }
}

}  // namespace cbuild::oci::registry
