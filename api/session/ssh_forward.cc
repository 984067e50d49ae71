// SPDX-License-Identifier: Apache-2.0
// A socket whose connections lead to an agent of the client. One thread accepts; each connection has one for each
// direction.
#include "api/session/ssh_forward.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <list>
#include <thread>
#include <utility>

#include "api/proto/ssh.grpc.pb.h"
#include "api/session/session_impl.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using AgentBytes = ::moby::sshforward::v1::BytesMessage;

constexpr std::size_t kMaxConnections = 64;  // at once; more wait
constexpr int kBacklog = 16, kReapMs = 200;
constexpr std::size_t kAgentChunk = 32u << 10;

class AgentConnection {
 public:
  AgentConnection(const SessionChannel& session, const std::string& id, UniqueFd fd)
      : fd_(std::move(fd)),
        call_(session, cat("ssh agent '", id, "' of the client"), nullptr),
        stub_(::moby::sshforward::v1::SSH::NewStub(session.channel)) {
    call_.add_metadata("buildkit.ssh.id", id);
    stream_ = stub_->ForwardAgent(call_.context());
    to_program_ = start_thread([this] { carry_answers(); });
    try {
      to_client_ = start_thread([this] { carry_questions(); });
    } catch (const Error&) {
      call_.context()->TryCancel();  // ends the other thread
      throw;
    }
  }
  ~AgentConnection() {
    call_.context()->TryCancel();
    ::shutdown(fd_.get(), SHUT_RDWR);
    if (to_client_.joinable()) to_client_.join();
    if (to_program_.joinable()) to_program_.join();
    stream_->Finish();
  }

  bool is_over() const { return over_ == 2; }

 private:
  void carry_answers() {
    for (AgentBytes message; stream_->Read(&message) && send_whole(message.data());) {
    }
    // Ends the other direction, too: nobody reads there any more.
    ::shutdown(fd_.get(), SHUT_RDWR);
    ++over_;
  }
  void carry_questions() {
    AgentBytes message;
    for (;;) {
      std::string& data = *message.mutable_data();
      data.resize(kAgentChunk);
      const ssize_t count = ::recv(fd_.get(), data.data(), data.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      data.resize(static_cast<std::size_t>(count));
      if (!stream_->Write(message)) break;
    }
    stream_->WritesDone();
    ++over_;
  }
  bool send_whole(std::string_view data) const {
    while (!data.empty()) {
      const ssize_t sent = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return false;
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  UniqueFd fd_;
  ClientCall call_;
  std::unique_ptr<::moby::sshforward::v1::SSH::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<AgentBytes, AgentBytes>> stream_;
  std::atomic<int> over_{0};  ///< directions
  std::jthread to_program_, to_client_;
};

/// $TMPDIR may be too long for the address of a socket.
TempDir socket_directory() {
  TempDir directory = TempDir::in_tmp("cbuild-ssh-");
  if (directory.path().size() + sizeof("/agent") <= sizeof(sockaddr_un::sun_path)) return directory;
  return TempDir(sys::open_at(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY).get(), "cbuild-ssh-");
}

class AgentSocket : public SshForward {
 public:
  AgentSocket(const SessionChannel& session, std::string id)
      : session_(session),
        id_(std::move(id)),
        directory_(socket_directory()),
        path_(directory_.path() + "/agent"),
        listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
        stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (!listener_ || !stop_) throw_errno(errno, "socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) throw Error(ErrorCode::io, cat(path_, " is too long for a socket"));
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw_errno(errno, cat("bind ", path_));
    if (::listen(listener_.get(), kBacklog) != 0) throw_errno(errno, cat("listen ", path_));
    thread_ = start_thread([this] { serve(); });
  }
  ~AgentSocket() override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(stop_.get(), &one, sizeof one);
    if (thread_.joinable()) thread_.join();
  }

  const std::string& socket_path() const override { return path_; }

 private:
  void serve() {
    std::list<AgentConnection> connections;
    for (;;) {
      connections.remove_if([](const AgentConnection& connection) { return connection.is_over(); });
      const bool full = connections.size() >= kMaxConnections;
      pollfd fds[] = {{stop_.get(), POLLIN, 0}, {full ? -1 : listener_.get(), POLLIN, 0}};
      ::poll(fds, 2, connections.empty() ? -1 : kReapMs);
      if (fds[0].revents != 0) return;
      if (fds[1].revents == 0) continue;
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) continue;
      try {
        connections.emplace_back(session_, id_, std::move(fd));
      } catch (const Error&) {
        // No thread is left for it: it is closed, which the program sees.
      }
    }
  }

  const SessionChannel& session_;
  std::string id_;
  TempDir directory_;
  std::string path_;
  UniqueFd listener_, stop_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<SshForward> ClientSession::forward_ssh(const std::string& id) {
  impl_->channel.require(method::kForwardAgent, cat("ssh agent '", id, "' of the client"));
  return std::make_unique<AgentSocket>(impl_->channel, id);
}

}  // namespace cbuild::api
