// SPDX-License-Identifier: Apache-2.0
// A directory to a client, which asks for the files that it wants. One thread sends the list of entries and then the
// files that were asked for, in that order; this one reads the requests, so that the client never waits for it.
#include <fcntl.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "api/proto/filesync.grpc.pb.h"
#include "api/session/exporter_metadata.h"
#include "api/session/session_impl.h"
#include "api/session/tree_list.h"
#include "api/session/tree_walk.h"
#include "base/error.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using ::fsutil::types::Packet;
using SendStream = grpc::ClientReaderWriter<Packet, Packet>;

constexpr std::size_t kChunk = 256u << 10;
constexpr std::size_t kMaxReceiverError = 4096;

/// The files that may be asked for, each once, and those that were.
class Requests {
 public:
  void add(const FileStat& entry) {
    const std::lock_guard lock(mutex_);
    offered_.push_back(S_ISREG(entry.mode) ? entry.path : std::string());
  }
  void ask(std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    if (number >= offered_.size() || offered_[number].empty())
      throw Error(ErrorCode::input,
                  cat("the client asked for file ", number, ", which is none or was asked for before"));
    wanted_.emplace_back(number, std::exchange(offered_[number], {}));
    changed_.notify_all();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  /// Waits for the next one; nullopt at the end.
  std::optional<std::pair<std::uint32_t, std::string>> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !wanted_.empty(); });
    if (wanted_.empty()) return std::nullopt;
    auto result = std::move(wanted_.front());
    wanted_.pop_front();
    return result;
  }
  std::uint64_t entries() {
    const std::lock_guard lock(mutex_);
    return offered_.size();
  }

 private:
  std::mutex mutex_;  ///< guards all
  std::condition_variable changed_;
  std::vector<std::string> offered_;  ///< paths by number; empty: cannot be asked for
  std::deque<std::pair<std::uint32_t, std::string>> wanted_;
  bool ended_ = false;
};

/// The thread that sends.
class Sender {
 public:
  Sender(SendStream& stream, Requests& requests, int root_fd, const SyncProgress& progress)
      : stream_(stream), requests_(requests), root_fd_(root_fd), progress_(progress) {}

  /// False: the client is gone.
  bool run() {
    bool sent = true;
    list_tree(root_fd_, [&](FileStat entry) {
      Packet packet;
      to_message(entry, *packet.mutable_stat());
      requests_.add(entry);
      sent = sent && stream_.Write(packet);
    });
    if (!sent || !stream_.Write(Packet())) return false;
    while (const auto file = requests_.next())
      if (!send_file(file->first, file->second)) return false;
    Packet last;
    last.set_type(Packet::PACKET_FIN);
    return stream_.Write(last) && stream_.WritesDone();
  }
  std::uint64_t files() const { return files_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  bool send_file(std::uint32_t number, const std::string& path) {
    const UniqueFd parent = open_directory(root_fd_, parent_path(path));
    const UniqueFd file = sys::open_at(parent.get(), base_name(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    Packet packet;
    packet.set_type(Packet::PACKET_DATA);
    packet.set_id(number);
    for (;;) {
      std::string& data = *packet.mutable_data();
      data.resize(kChunk);
      data.resize(sys::read_some(file.get(), std::as_writable_bytes(std::span(data))));
      bytes_ += data.size();
      const bool last = data.empty();
      files_ += last ? 1 : 0;
      if (!stream_.Write(packet)) return false;
      if (progress_) progress_(bytes_, files_);
      if (last) return true;
    }
  }

  SendStream& stream_;
  Requests& requests_;
  int root_fd_;
  const SyncProgress& progress_;
  std::uint64_t files_ = 0, bytes_ = 0;
};

void read_requests(SendStream& stream, Requests& requests) {
  for (Packet packet; stream.Read(&packet);) {
    if (packet.type() == Packet::PACKET_ERR)
      throw Error(ErrorCode::io, cat("the client: ", packet.data().substr(0, kMaxReceiverError)));
    if (packet.type() == Packet::PACKET_REQ) requests.ask(packet.id());
    if (packet.type() == Packet::PACKET_FIN) requests.end();
  }
}

SyncResult send_tree(ClientCall& call, SendStream& stream, const SendRequest& request, int root_fd) {
  Requests requests;
  Sender sender(stream, requests, root_fd, request.progress);
  std::exception_ptr failed_here, failed_there;
  bool whole = false;
  {
    const std::jthread thread = start_thread([&] {
      try {
        whole = sender.run();
      } catch (...) {
        failed_here = std::current_exception();
        call.context()->TryCancel();
      }
    });
    try {
      read_requests(stream, requests);
    } catch (...) {
      failed_there = std::current_exception();
      call.context()->TryCancel();
    }
    requests.end();
  }
  const grpc::Status status = stream.Finish();
  if (failed_here) std::rethrow_exception(failed_here);
  if (failed_there) std::rethrow_exception(failed_there);
  call.check(status);
  if (!whole) throw Error(ErrorCode::network, cat(call.subject(), ": the client ended before it had everything"));
  return {requests.entries(), sender.files(), sender.bytes()};
}

}  // namespace

SyncResult ClientSession::send_directory(const SendRequest& request, int root_fd, const CancelSource* cancel) {
  const SessionChannel& session = impl_->channel;
  const std::string subject = cat("send output ", request.exporter_index, " to the client");
  session.require(method::kSend, subject);
  ClientCall call(session, subject, cancel);
  add_exporter_metadata(call, request.exporter_index, request.metadata);
  if (request.multi_platform) call.add_metadata("buildkit-exporter-multi-platform", "1");
  // The method of archives, with other messages; its stub is for those.
  const grpc::internal::RpcMethod sends(method::kSend, grpc::internal::RpcMethod::BIDI_STREAMING, session.channel);
  const std::unique_ptr<SendStream> stream(
      grpc::internal::ClientReaderWriterFactory<Packet, Packet>::Create(session.channel.get(), sends, call.context()));
  try {
    return send_tree(call, *stream, request, root_fd);
  } catch (Error& error) {
    if (error.message().starts_with(subject)) throw;
    throw error.add_context(subject);
  }
}

}  // namespace cbuild::api
