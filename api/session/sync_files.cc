// SPDX-License-Identifier: Apache-2.0
// Files of a client. It sends a list of entries; the builder asks for those that it does not have, by their numbers in
// the list, says that it is done, and the client says so too. This thread reads and works on the tree, another one
// sends the requests.
#include <fcntl.h>

#include <optional>
#include <utility>

#include "api/proto/filesync.grpc.pb.h"
#include "api/session/header_text.h"
#include "api/session/request_writer.h"
#include "api/session/session_impl.h"
#include "api/session/tree_receiver.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using ::fsutil::types::Packet;
using SyncStream = grpc::ClientReaderWriter<Packet, Packet>;

constexpr std::size_t kMaxSenderError = 4096;
constexpr std::uint64_t kMaxEntriesOfFiles = 10'000;  // of a list with a few files and what they link to

void add_values(ClientCall& call, const std::string& key, const std::vector<std::string>& values) {
  const HeaderValues headers = encode_header_values(values);
  for (const std::string& value : headers.values) call.add_metadata(key, value);
  if (headers.encoded) call.add_metadata(key + "-encoded", "1");
}

bool write_packet(SyncStream& stream, Packet::PacketType type, std::uint32_t number) {
  Packet packet;
  packet.set_type(type);
  packet.set_id(number);
  return stream.Write(packet);
}

/// The client's packets in their order.
class SyncReader {
 public:
  SyncReader(TreeReceiver& receiver, RequestWriter& requests) : receiver_(receiver), requests_(requests) {}

  void take(const Packet& packet) {
    switch (packet.type()) {
      case Packet::PACKET_STAT:
        if (packet.has_stat())
          receiver_.add(from_message(packet.stat()));
        else
          receiver_.end_entries();
        break;
      case Packet::PACKET_DATA:
        receiver_.data(packet.id(), packet.data());
        break;
      case Packet::PACKET_FIN:
        if (!result_) throw Error(ErrorCode::input, "the client ended before it had sent everything");
        confirmed_ = true;
        break;
      case Packet::PACKET_ERR:
        throw Error(ErrorCode::io, cat("the client: ", packet.data().substr(0, kMaxSenderError)));
      default:
        throw Error(ErrorCode::input, cat("the client sent a packet of type ", int{packet.type()}));
    }
    if (!result_ && receiver_.complete()) {
      result_ = receiver_.finish();
      requests_.finish();
    }
  }
  /// The client has everything it needs to know.
  bool confirmed() const { return confirmed_; }
  const std::optional<SyncResult>& result() const { return result_; }

 private:
  TreeReceiver& receiver_;
  RequestWriter& requests_;
  std::optional<SyncResult> result_;
  bool confirmed_ = false;
};

SyncResult receive_tree(ClientCall& call, SyncStream& stream, const SyncRequest& request,
                        SyncedDirectory& destination) {
  RequestWriter requests([&stream](std::uint32_t number) { return write_packet(stream, Packet::PACKET_REQ, number); },
                         [&stream] { return write_packet(stream, Packet::PACKET_FIN, 0) && stream.WritesDone(); });
  TreeReceiver receiver(destination, request.limits, request.progress,
                        [&requests](std::uint32_t number) { requests.ask(number); });
  SyncReader reader(receiver, requests);
  try {
    for (Packet packet; stream.Read(&packet);) reader.take(packet);
  } catch (...) {
    call.context()->TryCancel();  // so that a request under way ends
    throw;
  }
  const grpc::Status status = stream.Finish();
  if (!reader.confirmed()) {
    call.check(status);
    throw Error(ErrorCode::network, cat(call.subject(), ": the client ended before it had sent everything"));
  }
  return *reader.result();
}

std::optional<std::string> read_received(const SyncedDirectory& tree, const std::string& path, std::size_t limit) {
  const auto fd = sys::try_open_in_root(tree.tree_fd(), path, O_RDONLY | O_NONBLOCK);
  if (!fd) return std::nullopt;
  if (!S_ISREG(sys::stat_fd(fd->get()).st_mode)) throw Error(ErrorCode::input, cat(path, " is not a regular file"));
  return sys::read_all(fd->get(), limit);
}

}  // namespace

SyncResult ClientSession::sync_directory(const SyncRequest& request, SyncedDirectory& destination,
                                         const CancelSource* cancel) {
  const SessionChannel& session = impl_->channel;
  const std::string subject = cat("directory '", request.directory_name, "' of the client");
  session.require(method::kSync, subject);
  ClientCall call(session, subject, cancel);
  add_values(call, "dir-name", {request.directory_name});
  add_values(call, "include-patterns", request.include);
  add_values(call, "exclude-patterns", request.exclude);
  add_values(call, "followpaths", request.follow_paths);
  const auto stub = ::moby::filesync::v1::FileSync::NewStub(session.channel);
  const auto stream = stub->DiffCopy(call.context());
  try {
    return receive_tree(call, *stream, request, destination);
  } catch (Error& error) {
    if (error.message().starts_with(subject)) throw;
    throw error.add_context(subject);
  }
}

std::map<std::string, std::string> ClientSession::read_files(const std::string& directory_name,
                                                             const std::vector<std::string>& paths, std::size_t limit,
                                                             const CancelSource* cancel) {
  const TempDir directory = TempDir::in_tmp("cbuild-files-");
  auto copy = SyncedDirectory::try_lock(directory.path());
  CBUILD_CHECK(copy.has_value());
  SyncRequest request{directory_name, {}, {}, paths};
  request.limits.entries = kMaxEntriesOfFiles;
  request.limits.bytes = (limit + 1) * (paths.size() + 1);
  sync_directory(request, *copy, cancel);
  std::map<std::string, std::string> files;
  for (const std::string& path : paths) {
    try {
      if (auto text = read_received(*copy, path, limit)) files[path] = std::move(*text);
    } catch (Error& error) {
      throw error.add_context(cat(path, " of the directory '", directory_name, "' of the client"));
    }
  }
  return files;
}

std::optional<std::string> ClientSession::read_file(const std::string& directory_name, const std::string& path,
                                                    std::size_t limit, const CancelSource* cancel) {
  auto files = read_files(directory_name, {path}, limit, cancel);
  if (files.empty()) return std::nullopt;
  return std::move(files.begin()->second);
}

}  // namespace cbuild::api
