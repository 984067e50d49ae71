// SPDX-License-Identifier: Apache-2.0
#include "api/session/content_store.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "api/proto/content.grpc.pb.h"
#include "api/session/session_impl.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

namespace wire = ::containerd::services::content::v1;
using WriteStream = grpc::ClientReaderWriter<wire::WriteContentRequest, wire::WriteContentResponse>;

constexpr std::size_t kContentChunk = 1u << 20;
constexpr int kLockTries = 50;  // while another transfer of the same content is under way at the client
constexpr int kLockPauseMs = 200;

class RemoteStore : public ContentStore {
 public:
  RemoteStore(const SessionChannel& session, std::string id, const CancelSource* cancel)
      : session_(session), id_(std::move(id)), cancel_(cancel) {}

  std::optional<std::uint64_t> size(const Digest& digest) override {
    ClientCall call(session_, subject(digest), cancel_, session_.settings.call_timeout);
    choose(call);
    wire::InfoRequest request;
    request.set_digest(digest.str());
    wire::InfoResponse response;
    const grpc::Status status = wire::Content::NewStub(session_.channel)->Info(call.context(), request, &response);
    if (status.error_code() == grpc::NOT_FOUND) return std::nullopt;
    call.check(status);
    if (response.info().size() < 0)
      throw Error(ErrorCode::corrupt, cat(call.subject(), ": its size is ", response.info().size()));
    return static_cast<std::uint64_t>(response.info().size());
  }

  void read(const Digest& digest, std::uint64_t offset, std::uint64_t size,
            const std::function<void(std::string_view)>& sink) override {
    ClientCall call(session_, subject(digest), cancel_);
    choose(call);
    wire::ReadContentRequest request;
    request.set_digest(digest.str());
    request.set_offset(static_cast<std::int64_t>(offset));
    request.set_size(static_cast<std::int64_t>(size));
    const auto stub = wire::Content::NewStub(session_.channel);
    const auto stream = stub->Read(call.context(), request);
    std::uint64_t count = 0;
    try {
      for (wire::ReadContentResponse part; stream->Read(&part); count += part.data().size()) {
        // Servers do not agree on whether its offset is that in the content or that in the answer.
        if (size != 0 && part.data().size() > size - count)
          throw Error(ErrorCode::corrupt, cat(call.subject(), ": more than ", size, " bytes"));
        sink(part.data());
      }
    } catch (...) {
      call.context()->TryCancel();
      throw;
    }
    call.check(stream->Finish());
    if (size != 0 && count != size)
      throw Error(ErrorCode::corrupt, cat(call.subject(), ": ", count, " bytes instead of ", size));
  }

  void write(const std::string& ref, const Digest& digest, std::uint64_t size,
             const std::function<std::size_t(std::span<std::byte>)>& source) override {
    for (int tries = 1;; ++tries) {
      ClientCall call(session_, subject(digest), cancel_);
      const grpc::Status status = try_write(call, ref, digest, size, source);
      if (status.ok() || status.error_code() == grpc::ALREADY_EXISTS) return;
      const bool locked = status.error_code() == grpc::UNAVAILABLE && session_.tunnel.is_open();
      if (!locked || tries == kLockTries) call.check(status);
      pause();
    }
  }

 private:
  std::string subject(const Digest& digest) const { return cat(digest.str(), " of the client's ", id_); }
  void choose(ClientCall& call) const { call.add_metadata("buildkit-attachable-store-id", id_); }

  /// Whoever holds the content at the client refuses at the first message, before the source is read.
  grpc::Status try_write(ClientCall& call, const std::string& ref, const Digest& digest, std::uint64_t size,
                         const std::function<std::size_t(std::span<std::byte>)>& source) const {
    choose(call);
    const auto stub = wire::Content::NewStub(session_.channel);
    const auto stream = stub->Write(call.context());
    wire::WriteContentRequest request;
    request.set_ref(ref);
    request.set_total(static_cast<std::int64_t>(size));
    request.set_expected(digest.str());
    request.set_action(wire::STAT);
    if (!exchange(*stream, request)) return end(*stream);
    try {
      if (!send_content(*stream, request, size, source)) return end(*stream);
    } catch (...) {
      call.context()->TryCancel();
      throw;
    }
    request.set_action(wire::COMMIT);
    request.clear_data();
    request.set_offset(static_cast<std::int64_t>(size));
    exchange(*stream, request);
    return end(*stream);
  }

  /// From the beginning: a first part at 0 drops what an earlier transfer has left.
  static bool send_content(WriteStream& stream, wire::WriteContentRequest& request, std::uint64_t size,
                           const std::function<std::size_t(std::span<std::byte>)>& source) {
    request.set_action(wire::WRITE);
    for (std::uint64_t offset = 0; offset < size;) {
      std::string& data = *request.mutable_data();
      data.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kContentChunk, size - offset)));
      data.resize(source(std::as_writable_bytes(std::span(data))));
      if (data.empty()) throw Error(ErrorCode::corrupt, cat("content ends after ", offset, " of ", size, " bytes"));
      request.set_offset(static_cast<std::int64_t>(offset));
      if (!exchange(stream, request)) return false;
      offset += data.size();
    }
    return true;
  }

  static bool exchange(WriteStream& stream, const wire::WriteContentRequest& request) {
    wire::WriteContentResponse response;
    return stream.Write(request) && stream.Read(&response);
  }

  static grpc::Status end(WriteStream& stream) {
    stream.WritesDone();
    // The status comes after all answers.
    for (wire::WriteContentResponse response; stream.Read(&response);) {
    }
    return stream.Finish();
  }

  void pause() const {
    pollfd cancelled{cancel_ == nullptr ? -1 : cancel_->event_fd(), POLLIN, 0};
    ::poll(&cancelled, 1, kLockPauseMs);
    if (cancel_ != nullptr) cancel_->check();
  }

  const SessionChannel& session_;
  std::string id_;
  const CancelSource* cancel_;
};

}  // namespace

std::unique_ptr<ContentStore> ClientSession::content(const std::string& store_id, const CancelSource* cancel) {
  impl_->channel.require(method::kContent, cat("the client's ", store_id));
  return std::make_unique<RemoteStore>(impl_->channel, store_id, cancel);
}

}  // namespace cbuild::api
