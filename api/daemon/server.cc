// SPDX-License-Identifier: Apache-2.0
// Connections are accepted here and handed to gRPC: one loop for sockets of our own and of systemd, for unix sockets
// and TCP, which also knows when nobody has been there for a while.
#include "api/daemon/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <poll.h>
#include <sys/socket.h>

#include <fcntl.h>

#include "api/daemon/state.h"
#include "base/error.h"
#include "base/plain_file.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr int kPollMs = 1000;
constexpr std::int64_t kKeptCopies_ns = std::int64_t{7} * 86'400 * 1'000'000'000;
constexpr int kMostMessage = 64 << 20;
constexpr std::size_t kMostPem = 1u << 20;

using grpc::experimental::ExternalConnectionAcceptor;

std::string pem_of(const std::string& path) {
  auto text = sys::try_read_plain(AT_FDCWD, path, kMostPem);
  if (!text) throw Error(ErrorCode::usage, cat(path, " does not exist"));
  return std::move(*text);
}

std::shared_ptr<grpc::ServerCredentials> tcp_credentials(const TlsFiles& files) {
  if (files.certificate.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = pem_of(files.authority);
  options.pem_key_cert_pairs.push_back({pem_of(files.key), pem_of(files.certificate)});
  return grpc::SslServerCredentials(options);
}

class AcceptLoop {
 public:
  AcceptLoop(const ServerSettings& settings, const CancelSource& stop) : settings_(settings), stop_(stop) {}

  void add_to(grpc::ServerBuilder& builder) {
    using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    const auto tcp = tcp_credentials(settings_.tls);
    for (const Listener& listener : settings_.listeners)
      acceptors_.push_back(builder.experimental().AddExternalConnectionAcceptor(
          Type::FROM_FD, listener.is_local ? grpc::InsecureServerCredentials() : tcp));
  }

  void run(DaemonState& state) {
    std::vector<pollfd> polled;
    for (const Listener& listener : settings_.listeners) polled.push_back({listener.fd.get(), POLLIN, 0});
    polled.push_back({stop_.event_fd(), POLLIN, 0});
    auto busy = std::chrono::steady_clock::now();
    while (!stop_.cancelled()) {
      const int ready = ::poll(polled.data(), polled.size(), kPollMs);
      const auto now = std::chrono::steady_clock::now();
      if (ready > 0 || !state.builds.idle() || !state.sessions.empty()) busy = now;
      if (settings_.idle.count() > 0 && now - busy >= settings_.idle) return;
      for (std::size_t i = 0; ready > 0 && i < acceptors_.size(); ++i)
        if ((polled[i].revents & POLLIN) != 0) accept_one(i);
    }
  }

 private:
  void accept_one(std::size_t number) {
    const int listener = settings_.listeners[number].fd.get();
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.listener_fd = listener;
    parameters.fd = fd;
    acceptors_[number]->HandleNewConnection(&parameters);
  }

  const ServerSettings& settings_;
  const CancelSource& stop_;
  std::vector<std::unique_ptr<ExternalConnectionAcceptor>> acceptors_;
};

}  // namespace

void serve(EngineSlots& slots, const ServerSettings& settings, const CancelSource& stop) {
  DaemonState state(slots, settings.entitlements);
  remove_client_copies(slots.root(), kKeptCopies_ns);
  const auto control = make_control_service(state), bridge = make_bridge_service(state), health = make_health_service(),
             trace = make_trace_service();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMostMessage);
  builder.SetMaxSendMessageSize(kMostMessage);
  for (const auto& service : {control.get(), bridge.get(), health.get(), trace.get()}) builder.RegisterService(service);
  AcceptLoop loop(settings, stop);
  loop.add_to(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) throw Error(ErrorCode::unsupported, "the server could not be started");
  loop.run(state);
  state.builds.cancel_all();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(10));
}

}  // namespace cbuild::api
