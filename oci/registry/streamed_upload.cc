// SPDX-License-Identifier: Apache-2.0
// Chunks in order, each a PATCH of what is there by then. After a chunk that failed the registry is asked how far it
// got, and the upload goes on from there; a registry that has lost the upload, or has more than was sent, is left. A
// wrong answer about that shows at the end, when the registry compares the digest: then the blob is pushed whole.
#include "oci/registry/streamed_upload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "oci/registry/upload_session.h"

namespace cbuild::oci::registry {

namespace {

using OnSent = std::function<void(std::uint64_t)>;

constexpr std::uint64_t kLeastChunk = 4u << 20, kMostLeast = 256u << 20;

/// Bytes that a registry has, by "Range: 0-LAST". "0-0" stands for none, too.
std::optional<std::uint64_t> received_bytes(const http::Response& response) {
  const std::string_view range = response.header("range");
  if (!range.starts_with("0-")) return std::nullopt;
  const auto last = parse_int(range.substr(2));
  if (!last || *last < 0) return std::nullopt;
  return *last == 0 ? 0 : static_cast<std::uint64_t>(*last) + 1;
}

std::uint64_t least_chunk(const http::Response& opened) {
  const auto wanted = parse_int(opened.header("oci-chunk-min-length")).value_or(0);
  return std::clamp(static_cast<std::uint64_t>(std::max<std::int64_t>(wanted, 0)), kLeastChunk, kMostLeast);
}

Call post_call(Transport& transport, const Reference& reference) {
  Call call = transport.call(reference, "blobs/uploads/", ScopeSet::push(reference.repository),
                             cat("push of a layer to ", reference.name()));
  call.request.method = "POST";
  return call;
}

bool is_refusal(const http::Response& response) {
  const int status = response.status;
  return !response.failure && status >= 400 && status < 500 && status != 404 && status != 408 && status != 416 &&
         status != 429 && !is_lost_upload(response);
}

}  // namespace

struct StreamedUpload::Impl {
  Impl(Transport& with, Reference where) : transport(with), reference(std::move(where)) {
    const Call post = post_call(transport, reference);
    const Transport::Answer answer = transport.send(post);
    if (!answer.response.ok()) transport.fail(post, answer);
    upload.emplace(transport, post, answer);
    least = least_chunk(answer.response);
  }

  Transport::Answer send_chunk(int file, std::uint64_t end, const OnSent& on_sent) {
    Call patch = upload->call("PATCH");
    patch.request.body_fd = file;
    patch.request.body_offset = sent;
    patch.request.body_size = end - sent;
    patch.request.headers.emplace_back("Content-Type", "application/octet-stream");
    patch.request.headers.emplace_back("Content-Range", cat(sent, '-', end - 1));
    if (on_sent) patch.request.on_sent = [&, from = sent](std::uint64_t bytes) { on_sent(from + bytes); };
    return transport.once(patch);
  }

  /// A registry may take less than it was sent, but has to get on.
  bool take(const Transport::Answer& answer, std::uint64_t end) {
    const std::uint64_t before = sent;
    sent = std::min(received_bytes(answer.response).value_or(end), end);
    upload->follow(answer);
    return sent > before;
  }

  /// Asks where the registry stands; false if that is nowhere useful.
  bool resume(std::uint64_t end) {
    const Transport::Answer answer = transport.once(upload->call("GET"));
    if (!answer.response.ok()) return false;
    const auto has = received_bytes(answer.response);
    if (!has || *has > end) return false;
    upload->follow(answer);
    sent = *has;
    return true;
  }

  bool again(const Transport::Answer& failed, unsigned attempt) {
    Transport::Answer answer = failed;
    if (answer.response.status == 416 && !answer.response.failure)
      answer.response.failure = {http::TransportFailure::Kind::broken, transport.explain(failed.response)};
    return transport.again(upload->call("PATCH"), answer, attempt);
  }

  bool send(int file, std::uint64_t end, const OnSent& on_sent) {
    std::uint64_t furthest = sent;
    for (unsigned attempt = 1; sent < end;) {
      const Transport::Answer answer = send_chunk(file, end, on_sent);
      if (answer.response.ok()) {
        if (!take(answer, end)) return false;
      } else {
        refused |= is_refusal(answer.response);
        if (!again(answer, attempt++) || !resume(end)) return false;
      }
      if (sent > std::exchange(furthest, std::max(furthest, sent))) attempt = 1;
    }
    return true;
  }

  bool finish(const Digest& digest) {
    const Call put = upload->put(digest);
    const Transport::Answer answer = transport.send(put);
    if (!answer.response.ok()) return false;
    check_stored(answer.response, reference, digest);
    return true;
  }

  /// Runs a part of the upload. One that failed is the last, and the upload is cancelled.
  template <typename Part>
  bool run(const Part& part) {
    if (!upload) return false;
    const ScopeExit drop([this] {
      if (over) give_up();
    });
    over = true;
    try {
      over = !part();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
    }
    return !over;
  }

  void give_up() noexcept {
    if (upload) upload->give_up();
    upload.reset();
  }

  Transport& transport;
  const Reference reference;
  std::optional<UploadSession> upload;  ///< unset: it is over
  std::uint64_t sent = 0, least = 0;
  bool over = false, refused = false;
};

StreamedUpload::StreamedUpload(Transport& transport, Reference repository)
    : impl_(std::make_unique<Impl>(transport, std::move(repository))) {}

StreamedUpload::~StreamedUpload() { impl_->give_up(); }

std::uint64_t StreamedUpload::sent() const { return impl_->sent; }
std::uint64_t StreamedUpload::least() const { return impl_->least; }
bool StreamedUpload::was_refused() const { return impl_->refused; }

bool StreamedUpload::send(int file, std::uint64_t end, const OnSent& on_sent) {
  return impl_->run([&] { return impl_->send(file, end, on_sent); });
}

bool StreamedUpload::finish(const Digest& digest) {
  const bool done = impl_->run([&] { return impl_->finish(digest); });
  if (done) leave();
  return done;
}

void StreamedUpload::leave() noexcept { impl_->upload.reset(); }

}  // namespace cbuild::oci::registry
