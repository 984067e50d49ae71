// SPDX-License-Identifier: Apache-2.0
// A resolver such as systemd's listens on 127.0.0.53 of the machine. The relay listens on the same address of the
// step's namespace, so resolv.conf stays as it is. One thread waits for all; a question has a socket of its own towards
// the server, which goes with its answer or after some seconds, and the oldest goes when there are too many.
#include "sandbox/network/dns_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/network/name_space.h"

namespace cbuild::sandbox::network {
namespace {

constexpr std::size_t kMostQuestions = 256, kMostConnections = 32;
constexpr std::int64_t kPatienceNs = 10'000'000'000;
constexpr std::uint16_t kDnsPort = 53;

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&address); }
};

Endpoint endpoint(const std::string& text) {
  Endpoint out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.address);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(kDnsPort);
    out.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(kDnsPort);
    out.size = sizeof *v6;
  }
  return out;
}

UniqueFd listen_at(const Endpoint& at, int type) {
  UniqueFd out(::socket(at.get()->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!out || ::setsockopt(out.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(out.get(), at.get(), at.size) != 0 || (type == SOCK_STREAM && ::listen(out.get(), 16) != 0))
    throw_errno(errno, "listen for name lookups of a step");
  return out;
}

/// A socket of this thread's namespace, on its way to the server.
UniqueFd connect_to(const Endpoint& server, int type) {
  UniqueFd out(::socket(server.get()->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (out && ::connect(out.get(), server.get(), server.size) != 0 && errno != EINPROGRESS) out.reset();
  return out;
}

struct Server {
  Endpoint at;
  UniqueFd udp, tcp;
};
struct Question {
  UniqueFd upstream;
  std::size_t server = 0;
  Endpoint from;
  std::int64_t until_ns = 0;
};
struct Connection {
  UniqueFd ends[2];
  std::int64_t until_ns = 0;
};

bool is_loopback(const std::string& text) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return ::inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace

std::vector<std::string> name_servers(const std::string& resolv_conf) {
  std::vector<std::string> out;
  for (const std::string& line : split(replace_all(resolv_conf, "\t", " "), '\n')) {
    const std::string_view text = trim(line);
    if (!text.starts_with("nameserver ")) continue;
    const std::string server(trim(text.substr(11)));
    if (std::find(out.begin(), out.end(), server) == out.end()) out.push_back(server);
  }
  if (out.empty()) out.emplace_back("127.0.0.1");
  return out;
}

std::vector<std::string> loopback_servers(const std::string& resolv_conf) {
  std::vector<std::string> out = name_servers(resolv_conf);
  std::erase_if(out, [](const std::string& server) { return !is_loopback(server); });
  return out;
}

struct DnsRelay::Impl {
  std::vector<Server> servers;
  std::deque<Question> questions;
  std::deque<Connection> connections;
  CancelSource stop;
  std::thread thread;

  void run();
  void take_question(std::size_t server);
  void take_connection(const Server& server);
  static bool answer(const Question& question, const Server& server);
  static bool carry(const Connection& connection, int from);
  void drop_old();
};

void DnsRelay::Impl::take_question(std::size_t server) {
  std::array<char, 4096> text;
  Question question;
  question.server = server;
  question.from.size = sizeof question.from.address;
  const ssize_t size =
      ::recvfrom(servers[server].udp.get(), text.data(), text.size(), 0, question.from.get(), &question.from.size);
  if (size <= 0) return;
  question.upstream = connect_to(servers[server].at, SOCK_DGRAM);
  question.until_ns = sys::monotonic_ns() + kPatienceNs;
  if (!question.upstream || ::send(question.upstream.get(), text.data(), static_cast<std::size_t>(size), 0) < 0) return;
  if (questions.size() >= kMostQuestions) questions.pop_front();
  questions.push_back(std::move(question));
}

bool DnsRelay::Impl::answer(const Question& question, const Server& server) {
  std::array<char, 65536> text;
  const ssize_t size = ::recv(question.upstream.get(), text.data(), text.size(), 0);
  if (size < 0 && errno == EAGAIN) return false;
  if (size > 0)
    (void)::sendto(server.udp.get(), text.data(), static_cast<std::size_t>(size), 0, question.from.get(),
                   question.from.size);
  return true;
}

void DnsRelay::Impl::take_connection(const Server& server) {
  Connection connection;
  connection.ends[0] = UniqueFd(::accept4(server.tcp.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.ends[0]) return;
  connection.ends[1] = connect_to(server.at, SOCK_STREAM);
  connection.until_ns = sys::monotonic_ns() + kPatienceNs;
  if (!connection.ends[1]) return;
  if (connections.size() >= kMostConnections) connections.pop_front();
  connections.push_back(std::move(connection));
}

/// False at the end of the connection; messages are small enough to fit into a socket's buffer.
bool DnsRelay::Impl::carry(const Connection& connection, int from) {
  std::array<char, 65536> text;
  const ssize_t size = ::recv(connection.ends[from].get(), text.data(), text.size(), 0);
  if (size < 0) return errno == EAGAIN;
  return size > 0 &&
         ::send(connection.ends[1 - from].get(), text.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
}

void DnsRelay::Impl::drop_old() {
  const std::int64_t now = sys::monotonic_ns();
  while (!questions.empty() && questions.front().until_ns < now) questions.pop_front();
  while (!connections.empty() && connections.front().until_ns < now) connections.pop_front();
}

void DnsRelay::Impl::run() {
  for (;;) {
    std::vector<pollfd> polled{{stop.event_fd(), POLLIN, 0}};
    const auto wait_for = [&](const UniqueFd& fd) { polled.push_back({fd.get(), POLLIN, 0}); };
    for (const Server& server : servers) {
      wait_for(server.udp);
      wait_for(server.tcp);
    }
    for (const Question& question : questions) wait_for(question.upstream);
    for (const Connection& connection : connections) {
      wait_for(connection.ends[0]);
      wait_for(connection.ends[1]);
    }
    const bool idle = questions.empty() && connections.empty();
    if (::poll(polled.data(), polled.size(), idle ? -1 : 1000) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    // From the end: what is taken below comes behind, and what ends must not move what is still to be looked at.
    std::size_t at = 1 + servers.size() * 2 + questions.size() + connections.size() * 2;
    for (std::size_t i = connections.size(); i-- > 0;) {
      at -= 2;
      const bool more = (polled[at].revents == 0 || carry(connections[i], 0)) &&
                        (polled[at + 1].revents == 0 || carry(connections[i], 1));
      if (!more) connections.erase(connections.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (std::size_t i = questions.size(); i-- > 0;)
      if (polled[--at].revents != 0 && answer(questions[i], servers[questions[i].server]))
        questions.erase(questions.begin() + static_cast<std::ptrdiff_t>(i));
    for (std::size_t i = servers.size(); i-- > 0;) {
      if (polled[--at].revents != 0) take_connection(servers[i]);
      if (polled[--at].revents != 0) take_question(i);
    }
    drop_old();
  }
}

DnsRelay::DnsRelay(int name_space, const std::vector<std::string>& servers) : impl_(std::make_unique<Impl>()) {
  in_name_space(name_space, [&] {
    for (const std::string& text : servers) {
      const Endpoint at = endpoint(text);
      impl_->servers.push_back({at, listen_at(at, SOCK_DGRAM), listen_at(at, SOCK_STREAM)});
    }
  });
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

DnsRelay::~DnsRelay() {
  impl_->stop.cancel();
  impl_->thread.join();
}

}  // namespace cbuild::sandbox::network
