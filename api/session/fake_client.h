// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/proto/content.grpc.pb.h"
#include "api/proto/filesync.grpc.pb.h"
#include "api/proto/health.grpc.pb.h"
#include "api/proto/secrets.grpc.pb.h"
#include "api/proto/ssh.grpc.pb.h"
#include "api/proto/upload.grpc.pb.h"
#include "api/session/client_session.h"
#include "base/fd.h"
#include "base/test_wait.h"

/// A client for tests: gRPC services in this process at the far end of a session. Each does what a test puts in.
namespace cbuild::api::test {

using ::cbuild::test::Awaiting;
using ::fsutil::types::Packet;
using Metadata = std::multimap<std::string, std::string>;

/// A stream of either kind of message, as a service sees it.
template <typename Message>
using Stream = grpc::ServerReaderWriter<Message, Message>;
using Bytes = ::moby::filesync::v1::BytesMessage;

/// Called with the metadata of the call. Empty: UNIMPLEMENTED.
struct Behaviour {
  std::function<grpc::Status(const Metadata&, Stream<Packet>&)> sync;
  std::function<grpc::Status(const Metadata&, Stream<Bytes>&)> send;
  std::function<grpc::Status(const Metadata&, Stream<::moby::upload::v1::BytesMessage>&)> pull;
  std::function<grpc::Status(const Metadata&, Stream<::moby::sshforward::v1::BytesMessage>&)> forward;
  std::map<std::string, std::string> secrets;
  std::map<std::string, RegistryAccount> accounts;
  std::function<grpc::Status(const ::moby::filesync::v1::FetchTokenRequest&, ::moby::filesync::v1::FetchTokenResponse&)>
      fetch_token;
  std::string public_key;
  std::map<std::string, std::string> content;  ///< by digest, of the store "local:cache"
  std::string content_part;                    ///< of an unfinished write
  int locked_writes = 0;                       ///< refused before one is taken
  std::function<grpc::Status()> health;
};

class FakeClient {
 public:
  explicit FakeClient(Behaviour behaviour, const SessionSettings& settings = {});
  /// Without a session of its own: the bytes of line() go through a server.
  struct OnlyLine {};
  FakeClient(Behaviour behaviour, OnlyLine);
  ~FakeClient();

  ClientSession& session() { return *session_; }
  Behaviour& behaviour() { return behaviour_; }
  int line() const { return line_.get(); }
  /// The methods that are there, as a client tells them.
  std::vector<std::string> methods() const;
  /// Goes away without a word.
  void vanish() noexcept;

 private:
  struct Services;

  Behaviour behaviour_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  UniqueFd line_;
  std::unique_ptr<ClientSession> session_;
};

/// A packet of an entry; the mode is Go's.
Packet entry_packet(const std::string& path, std::uint32_t mode, std::int64_t size = 0, std::int64_t mtime_ns = 1,
                    const std::string& link = {});
Packet data_packet(std::uint32_t number, const std::string& data);
Packet packet_of(Packet::PacketType type, std::uint32_t number = 0);
inline constexpr std::uint32_t kGoDirectory = 1u << 31, kGoLink = 1u << 27, kGoDevice = 1u << 26, kGoFifo = 1u << 25;

/// A client's directory. Sends its list, the files that are asked for, and the end. The contents are by path.
struct FakeTree {
  std::vector<Packet> entries;
  std::map<std::string, std::string> contents;
  std::vector<std::string> asked;  ///< of the last sync

  void add_directory(const std::string& path, std::int64_t mtime_ns = 1);
  void add_file(const std::string& path, const std::string& content, std::int64_t mtime_ns = 1,
                std::uint32_t mode = 0644);
  grpc::Status send(Stream<Packet>& stream);
};

}  // namespace cbuild::api::test
