// SPDX-License-Identifier: Apache-2.0
#include "api/session/fake_client.h"

#include <fcntl.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "api/session/session_impl.h"
#include "base/digest.h"
#include "base/error.h"

namespace cbuild::api::test {
namespace {

grpc::Status not_offered() { return {grpc::UNIMPLEMENTED, "the fake client has no such method"}; }

Metadata metadata_of(const grpc::ServerContext& context) {
  Metadata result;
  for (const auto& [key, value] : context.client_metadata())
    result.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  return result;
}

template <typename Call, typename Message>
grpc::Status run(const Call& call, const grpc::ServerContext& context, Stream<Message>& stream) {
  return call ? call(metadata_of(context), stream) : not_offered();
}

struct SyncService : ::moby::filesync::v1::FileSync::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status DiffCopy(grpc::ServerContext* context, Stream<Packet>* stream) override {
    return run(behaviour->sync, *context, *stream);
  }
};

struct SendService : ::moby::filesync::v1::FileSend::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status DiffCopy(grpc::ServerContext* context, Stream<Bytes>* stream) override {
    return run(behaviour->send, *context, *stream);
  }
};

struct UploadService : ::moby::upload::v1::Upload::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status Pull(grpc::ServerContext* context, Stream<::moby::upload::v1::BytesMessage>* stream) override {
    return run(behaviour->pull, *context, *stream);
  }
};

struct SshService : ::moby::sshforward::v1::SSH::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status CheckAgent(grpc::ServerContext*, const ::moby::sshforward::v1::CheckAgentRequest* request,
                          ::moby::sshforward::v1::CheckAgentResponse*) override {
    if (request->id() == "default") return grpc::Status::OK;
    return {grpc::NOT_FOUND, "unset ssh forward key " + request->id()};
  }
  grpc::Status ForwardAgent(grpc::ServerContext* context,
                            Stream<::moby::sshforward::v1::BytesMessage>* stream) override {
    return run(behaviour->forward, *context, *stream);
  }
};

struct SecretService : ::moby::buildkit::secrets::v1::Secrets::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status GetSecret(grpc::ServerContext*, const ::moby::buildkit::secrets::v1::GetSecretRequest* request,
                         ::moby::buildkit::secrets::v1::GetSecretResponse* response) override {
    if (request->id() == "broken") return {grpc::PERMISSION_DENIED, "not for you"};
    const auto found = behaviour->secrets.find(request->id());
    if (found == behaviour->secrets.end()) return {grpc::NOT_FOUND, "secret not found"};
    response->set_data(found->second);
    return grpc::Status::OK;
  }
};

struct AuthService : ::moby::filesync::v1::Auth::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status Credentials(grpc::ServerContext*, const ::moby::filesync::v1::CredentialsRequest* request,
                           ::moby::filesync::v1::CredentialsResponse* response) override {
    const RegistryAccount account = behaviour->accounts[request->host()];
    response->set_username(account.username);
    response->set_secret(account.secret);
    return grpc::Status::OK;
  }
  grpc::Status FetchToken(grpc::ServerContext*, const ::moby::filesync::v1::FetchTokenRequest* request,
                          ::moby::filesync::v1::FetchTokenResponse* response) override {
    return behaviour->fetch_token ? behaviour->fetch_token(*request, *response) : not_offered();
  }
  grpc::Status GetTokenAuthority(grpc::ServerContext*, const ::moby::filesync::v1::GetTokenAuthorityRequest*,
                                 ::moby::filesync::v1::GetTokenAuthorityResponse* response) override {
    if (behaviour->public_key.empty()) return {grpc::UNAVAILABLE, "client side tokens disabled"};
    response->set_public_key(behaviour->public_key);
    return grpc::Status::OK;
  }
};

struct HealthService : ::grpc::health::v1::Health::Service {
  Behaviour* behaviour = nullptr;
  grpc::Status Check(grpc::ServerContext*, const ::grpc::health::v1::HealthCheckRequest*,
                     ::grpc::health::v1::HealthCheckResponse*) override {
    return behaviour->health ? behaviour->health() : grpc::Status::OK;
  }
};

namespace content_wire = ::containerd::services::content::v1;

/// As containerd's: a write answers each message with the offset, one at 0 begins again, a commit checks the digest.
struct ContentService : content_wire::Content::Service {
  Behaviour* behaviour = nullptr;

  static bool is_for_cache(const grpc::ServerContext& context) {
    const Metadata metadata = metadata_of(context);
    const auto store = metadata.find("buildkit-attachable-store-id");
    return store != metadata.end() && store->second == "local:cache";
  }
  grpc::Status Info(grpc::ServerContext* context, const content_wire::InfoRequest* request,
                    content_wire::InfoResponse* response) override {
    const auto found = behaviour->content.find(request->digest());
    if (!is_for_cache(*context) || found == behaviour->content.end()) return {grpc::NOT_FOUND, "not found"};
    response->mutable_info()->set_size(static_cast<std::int64_t>(found->second.size()));
    return grpc::Status::OK;
  }
  grpc::Status Read(grpc::ServerContext* context, const content_wire::ReadContentRequest* request,
                    grpc::ServerWriter<content_wire::ReadContentResponse>* writer) override {
    const auto found = behaviour->content.find(request->digest());
    if (!is_for_cache(*context) || found == behaviour->content.end()) return {grpc::NOT_FOUND, "not found"};
    const auto begin = static_cast<std::size_t>(request->offset());
    const std::size_t size = request->size() == 0 ? std::string::npos : static_cast<std::size_t>(request->size());
    const std::string part = found->second.substr(begin, size);
    for (std::size_t at = 0; at < part.size(); at += 1000) {
      content_wire::ReadContentResponse response;
      response.set_offset(static_cast<std::int64_t>(at));
      response.set_data(part.substr(at, 1000));
      writer->Write(response);
    }
    return grpc::Status::OK;
  }
  grpc::Status Write(grpc::ServerContext*,
                     grpc::ServerReaderWriter<content_wire::WriteContentResponse, content_wire::WriteContentRequest>*
                         stream) override {
    if (behaviour->locked_writes > 0) {
      --behaviour->locked_writes;
      return {grpc::UNAVAILABLE, "ref locked"};
    }
    std::string& part = behaviour->content_part;
    for (content_wire::WriteContentRequest request; stream->Read(&request);) {
      if (behaviour->content.contains(request.expected())) return {grpc::ALREADY_EXISTS, "there"};
      if (request.action() != content_wire::STAT) {
        if (request.offset() == 0) part.clear();
        if (static_cast<std::size_t>(request.offset()) != part.size()) return {grpc::OUT_OF_RANGE, "wrong offset"};
        part += request.data();
      }
      if (request.action() == content_wire::COMMIT) {
        if (sha256(part).str() != request.expected()) return {grpc::FAILED_PRECONDITION, "unexpected digest"};
        behaviour->content[request.expected()] = std::exchange(part, {});
      }
      content_wire::WriteContentResponse response;
      response.set_offset(static_cast<std::int64_t>(part.size()));
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
};

SessionStream stream_over(int fd) {
  SessionStream stream;
  stream.read = [fd](std::string& data) {
    data.resize(64u << 10);
    const ssize_t count = ::recv(fd, data.data(), data.size(), 0);
    data.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return count > 0;
  };
  stream.write = [fd](std::string_view data) {
    while (!data.empty()) {
      const ssize_t sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  };
  stream.stop = [fd] { ::shutdown(fd, SHUT_RDWR); };
  return stream;
}

}  // namespace

struct FakeClient::Services {
  SyncService sync;
  SendService send;
  UploadService upload;
  SshService ssh;
  SecretService secrets;
  AuthService auth;
  HealthService health;
  ContentService content;

  std::unique_ptr<grpc::Server> start(Behaviour* behaviour) {
    sync.behaviour = send.behaviour = upload.behaviour = ssh.behaviour = behaviour;
    secrets.behaviour = auth.behaviour = health.behaviour = content.behaviour = behaviour;
    grpc::ServerBuilder builder;
    for (grpc::Service* service :
         std::initializer_list<grpc::Service*>{&sync, &send, &upload, &ssh, &secrets, &auth, &health, &content})
      builder.RegisterService(service);
    return builder.BuildAndStart();
  }
};

FakeClient::FakeClient(Behaviour behaviour, OnlyLine)
    : behaviour_(std::move(behaviour)),
      services_(std::make_unique<Services>()),
      server_(services_->start(&behaviour_)) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno(errno, "socketpair");
  line_.reset(ends[0]);
  if (::fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) throw_errno(errno, "fcntl");
  grpc::AddInsecureChannelFromFd(server_.get(), ends[1]);
}

FakeClient::FakeClient(Behaviour behaviour, const SessionSettings& settings)
    : FakeClient(std::move(behaviour), OnlyLine{}) {
  session_ = std::make_unique<ClientSession>(SessionHeader{"id", "name", "key", methods()}, stream_over(line_.get()),
                                             settings);
}

std::vector<std::string> FakeClient::methods() const {
  std::vector<std::string> all = {method::kSync,           method::kSend,   method::kCredentials, method::kFetchToken,
                                  method::kTokenAuthority, method::kSecret, method::kPull,        method::kCheckAgent,
                                  method::kForwardAgent,   method::kContent};
  if (behaviour_.health) all.push_back(method::kHealth);
  return all;
}

FakeClient::~FakeClient() {
  session_.reset();
  server_->Shutdown(std::chrono::system_clock::now());
}

void FakeClient::vanish() noexcept { ::shutdown(line_.get(), SHUT_RDWR); }

Packet entry_packet(const std::string& path, std::uint32_t mode, std::int64_t size, std::int64_t mtime_ns,
                    const std::string& link) {
  Packet packet;
  ::fsutil::types::Stat& stat = *packet.mutable_stat();
  stat.set_path(path);
  stat.set_mode(mode);
  stat.set_size(size);
  stat.set_mod_time(mtime_ns);
  stat.set_linkname(link);
  stat.set_uid(::getuid());
  stat.set_gid(::getgid());
  return packet;
}

Packet data_packet(std::uint32_t number, const std::string& data) {
  Packet packet = packet_of(Packet::PACKET_DATA, number);
  packet.set_data(data);
  return packet;
}

Packet packet_of(Packet::PacketType type, std::uint32_t number) {
  Packet packet;
  packet.set_type(type);
  packet.set_id(number);
  return packet;
}

void FakeTree::add_directory(const std::string& path, std::int64_t mtime_ns) {
  entries.push_back(entry_packet(path, kGoDirectory | 0755, 0, mtime_ns));
}

void FakeTree::add_file(const std::string& path, const std::string& content, std::int64_t mtime_ns,
                        std::uint32_t mode) {
  entries.push_back(entry_packet(path, mode, static_cast<std::int64_t>(content.size()), mtime_ns));
  contents[path] = content;
}

grpc::Status FakeTree::send(Stream<Packet>& stream) {
  asked.clear();
  for (const Packet& entry : entries) stream.Write(entry);
  stream.Write(Packet());
  for (Packet packet; stream.Read(&packet);) {
    if (packet.type() == Packet::PACKET_FIN) {
      stream.Write(packet);
      return grpc::Status::OK;
    }
    if (packet.type() != Packet::PACKET_REQ || packet.id() >= entries.size()) return {grpc::INTERNAL, "bad request"};
    const std::string path = entries[packet.id()].stat().path();
    asked.push_back(path);
    const std::string& content = contents[path];
    for (std::size_t at = 0; at < content.size(); at += 32u << 10)
      stream.Write(data_packet(packet.id(), content.substr(at, 32u << 10)));
    stream.Write(packet_of(Packet::PACKET_DATA, packet.id()));
  }
  return {grpc::ABORTED, "no end from the builder"};
}

}  // namespace cbuild::api::test
