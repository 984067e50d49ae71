// SPDX-License-Identifier: Apache-2.0
// The namespace has a loopback device only, and a route that makes every address one of its own (a "local" route to
// everything, which Linux answers by itself). So a program that connects to any host reaches a socket here, whose
// address is the one that it wanted; nothing leads outside but what this process carries over.
//
// Names are answered by us, too: the addresses of an answer are remembered for the name that was asked for, which is
// how a connection to an address is a connection to a name. A connection that names a host itself (TLS, HTTP) is held
// until that is known, because many hosts share an address.
#include "sandbox/network/egress_relay.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/network/egress_sockets.h"
#include "sandbox/network/name_space.h"
#include "sandbox/network/netlink.h"
#include "sandbox/network/tunnel.h"
#include "sandbox/network/wire_names.h"

namespace cbuild::sandbox::network {
namespace {

constexpr std::size_t kMostWaiting = 1024, kMostWorkers = 256, kMostAddresses = 16384, kMostRefused = 100,
                      kMostNamesOfAddress = 64;
constexpr int kNameAnswerMs = 3'000, kDnsIdleMs = 10'000;
constexpr std::uint16_t kNamePort = 53;
constexpr std::size_t kMaxMessage = 65535;

IpAddress plain_ip(const char* text) {
  IpAddress out{};
  CBUILD_CHECK(parse_ip(text, out));
  return out;
}

bool is_own_loopback(const IpAddress& address) {
  return is_v4(address) ? address[12] == 127 : address == plain_ip("::1");
}

/// Where a name must not lead, whatever a name server says: this machine itself, and services of its cloud.
bool is_reserved(const IpAddress& address) {
  if (is_v4(address))
    return address[12] == 127 || address[12] == 0 || address[12] >= 224 || (address[12] == 169 && address[13] == 254) ||
           address == plain_ip(kEgressGateway);
  const bool link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
  return link_local || address[0] == 0xff || address == plain_ip("::1") || address == IpAddress{};
}

/// Threads for connections and questions, so many and no more; all have ended when it goes.
class Workers {
 public:
  ~Workers() {
    std::unique_lock lock(state_->mutex);
    state_->ended.wait(lock, [this] { return state_->count == 0; });
  }
  /// False, and `work` is dropped, when there are too many.
  bool start(std::function<void()> work) {
    const std::lock_guard lock(state_->mutex);
    if (state_->count >= kMostWorkers) return false;
    auto thread = try_start_thread([state = state_, work = std::move(work)] {
      work();
      const std::lock_guard inner(state->mutex);
      --state->count;
      state->ended.notify_all();
    });
    if (!thread) return false;
    ++state_->count;
    thread->detach();
    return true;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t count = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();  ///< also of a thread that is just ending
};

/// Which names have led to an address. Thread-safe.
class KnownNames {
 public:
  void add(const std::string& name, const IpAddress& address) {
    const std::lock_guard lock(mutex_);
    if (names_.size() >= kMostAddresses && !names_.contains(address)) return;
    if (auto& names = names_[address]; names.size() < kMostNamesOfAddress) names.insert(name);
  }
  std::set<std::string> of(const IpAddress& address) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(address);
    return found == names_.end() ? std::set<std::string>() : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<IpAddress, std::set<std::string>> names_;
};

/// Thread-safe.
class Refusals {
 public:
  void add(const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (list_.size() > kMostRefused || std::find(list_.begin(), list_.end(), text) != list_.end()) return;
    list_.push_back(list_.size() == kMostRefused ? "and others" : text);
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(list_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> list_;
};

/// The length of a message of DNS over TCP goes before it (RFC 1035 4.2.2). Empty at the end.
std::string receive_message(int socket, int timeout_ms, const CancelSource& stop) {
  std::string out;
  std::size_t wanted = 2;
  while (out.size() < wanted) {
    std::array<char, 4096> piece;
    if (!wait_for(socket, POLLIN, timeout_ms, stop)) return {};
    const ssize_t size = ::recv(socket, piece.data(), std::min(piece.size(), wanted - out.size()), 0);
    if (size <= 0) return {};
    out.append(piece.data(), static_cast<std::size_t>(size));
    if (out.size() == 2)
      wanted = 2 + (std::size_t{static_cast<unsigned char>(out[0])} << 8 | static_cast<unsigned char>(out[1]));
  }
  return out.substr(2);
}

bool send_message(int socket, const std::string& message) {
  std::string out{static_cast<char>(message.size() >> 8), static_cast<char>(message.size() & 255)};
  out += message;
  return ::send(socket, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
}

}  // namespace

struct EgressRelay::Impl {
  explicit Impl(EgressSettings settings_in) : settings(std::move(settings_in)) {}

  void set_up();
  void know_hosts();
  void run();
  bool serve_ready(int timeout_ms);
  void take_connection(int listener);
  void take_question();
  void take_dns_connection();
  void see_connection();
  void serve(UniqueFd client, const IpEndpoint& wanted);
  void serve_names(UniqueFd client);
  std::string answer(const std::string& message, int type);
  std::string ask(const std::string& message, int type);
  bool may_connect(const IpEndpoint& wanted) const;
  std::string label(const IpEndpoint& wanted) const;

  const EgressSettings settings;
  std::vector<UniqueFd> listeners;
  UniqueFd names_udp, names_tcp, watched;
  KnownNames known;
  Refusals refused;
  CancelSource stop;
  std::jthread thread;
  Workers workers;  ///< last: they end before all else goes
};

void EgressRelay::Impl::set_up() {
  RouteSocket routes;
  routes.add_address("lo", "192.0.2.2", 32);  // programs that see no address but loopback's do not ask for names
  routes.route_all_to_itself("lo", AF_INET);
  try {
    routes.route_all_to_itself("lo", AF_INET6);
  } catch (const Error&) {  // a machine without IPv6
  }
  for (const std::uint16_t port : settings.rules.ports()) {
    for (const char* any : {"0.0.0.0", "::"})
      if (UniqueFd fd = listening({plain_ip(any), port}, SOCK_STREAM)) listeners.push_back(std::move(fd));
  }
  names_udp = listening({plain_ip(kEgressResolver), kNamePort}, SOCK_DGRAM);
  names_tcp = listening({plain_ip(kEgressResolver), kNamePort}, SOCK_STREAM);
  watched = watch_connections();
  if (listeners.empty() || !names_udp) throw Error(ErrorCode::unsupported, "cannot listen in the network of a step");
  know_hosts();
}

void EgressRelay::Impl::know_hosts() {
  for (const std::string& entry : settings.hosts) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    const std::string to = entry.substr(equals + 1);
    IpAddress address{};
    if (parse_ip(to == "host-gateway" ? kEgressGateway : to, address))
      known.add(to_lower(entry.substr(0, equals)), address);
  }
}

bool EgressRelay::Impl::may_connect(const IpEndpoint& wanted) const {
  if (is_own_loopback(wanted.address)) return false;
  if (settings.rules.allows_address(wanted.address, wanted.port)) return true;
  const std::set<std::string> names = known.of(wanted.address);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return settings.rules.allows_name(name, wanted.port); });
}

std::string EgressRelay::Impl::label(const IpEndpoint& wanted) const {
  const std::set<std::string> names = known.of(wanted.address);
  return names.empty() ? format_place(wanted.address, wanted.port) : cat(*names.begin(), ':', wanted.port);
}

void EgressRelay::Impl::take_connection(int listener) {
  UniqueFd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  const auto wanted = client ? local_place(client.get()) : std::nullopt;
  if (!wanted) return;
  if (!may_connect(*wanted)) return refused.add(label(*wanted));
  auto shared = std::make_shared<UniqueFd>(std::move(client));
  workers.start([this, shared, place = *wanted] { serve(std::move(*shared), place); });
}

void EgressRelay::Impl::serve(UniqueFd client, const IpEndpoint& wanted) {
  const bool by_address = settings.rules.allows_address(wanted.address, wanted.port);
  const IpAddress target = wanted.address == plain_ip(kEgressGateway) ? plain_ip("127.0.0.1") : wanted.address;
  const UniqueFd server = connected({target, wanted.port}, SOCK_STREAM, stop);
  if (!server) {
    const linger at_once{1, 0};  // a reset, as from a host that does not listen
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return;
  }
  const auto admits = [&](const WireName& said) {
    if (by_address || said.found != Wire::named || settings.rules.allows_name(said.name, wanted.port)) return true;
    IpAddress literal{};
    if (parse_ip(said.name, literal)) return true;  // no name at all
    refused.add(cat(said.name, ':', wanted.port));
    return false;
  };
  carry(client.get(), server.get(), admits, stop);
}

/// The answer of the first server that has one; empty: none.
std::string EgressRelay::Impl::ask(const std::string& message, int type) {
  for (const std::string& text : settings.name_servers) {
    IpAddress address{};
    if (!parse_ip(text, address)) continue;
    const UniqueFd server = connected({address, kNamePort}, type, stop);
    if (!server) continue;
    if (type == SOCK_STREAM) {
      if (!send_message(server.get(), message)) continue;
      if (std::string out = receive_message(server.get(), kNameAnswerMs, stop); !out.empty()) return out;
      continue;
    }
    std::string out(kMaxMessage, '\0');
    if (::send(server.get(), message.data(), message.size(), 0) < 0 ||
        !wait_for(server.get(), POLLIN, kNameAnswerMs, stop))
      continue;
    const ssize_t size = ::recv(server.get(), out.data(), out.size(), 0);
    if (size > 12 && out.compare(0, 2, message, 0, 2) == 0) return out.substr(0, static_cast<std::size_t>(size));
  }
  return {};
}

std::string EgressRelay::Impl::answer(const std::string& message, int type) {
  constexpr unsigned kNone = 0, kNoSuchName = 3;
  const auto question = dns_question(message);
  if (!question) return {};
  if (!settings.rules.allows_name(question->name)) {
    if (question->type == kDnsA && !question->name.starts_with('_')) refused.add(question->name);
    return dns_answer(message, *question, kNoSuchName);
  }
  if (question->type != kDnsA && question->type != kDnsAaaa) return dns_answer(message, *question, kNone);
  std::string out = ask(message, type);
  const std::vector<IpAddress> addresses = dns_addresses(out);
  for (const IpAddress& address : addresses)
    if (!is_reserved(address)) known.add(question->name, address);
  return out;
}

void EgressRelay::Impl::take_question() {
  std::string message(kMaxMessage, '\0');
  sockaddr_storage from{};
  socklen_t from_size = sizeof from;
  const ssize_t size =
      ::recvfrom(names_udp.get(), message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
  if (size <= 0) return;
  message.resize(static_cast<std::size_t>(size));
  workers.start([this, message, from, from_size] {
    const std::string out = answer(message, SOCK_DGRAM);
    if (!out.empty())
      (void)::sendto(names_udp.get(), out.data(), out.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&from),
                     from_size);
  });
}

void EgressRelay::Impl::take_dns_connection() {
  auto client = std::make_shared<UniqueFd>(::accept4(names_tcp.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (*client) workers.start([this, client] { serve_names(std::move(*client)); });
}

void EgressRelay::Impl::serve_names(UniqueFd client) {
  for (;;) {
    const std::string message = receive_message(client.get(), kDnsIdleMs, stop);
    if (message.empty()) return;
    const std::string out = answer(message, SOCK_STREAM);
    if (out.empty() || !send_message(client.get(), out)) return;
  }
}

/// To a port that nobody listens at.
void EgressRelay::Impl::see_connection() {
  const auto wanted = next_connection(watched.get());
  if (wanted && !is_own_loopback(wanted->address) && !settings.rules.ports().contains(wanted->port))
    refused.add(label(*wanted));
}

/// Takes what has come, on any thread. False: nothing has.
bool EgressRelay::Impl::serve_ready(int timeout_ms) {
  std::vector<pollfd> polled{{stop.event_fd(), POLLIN, 0},
                             {names_udp.get(), POLLIN, 0},
                             {names_tcp.get(), POLLIN, 0},
                             {watched.get(), POLLIN, 0}};
  const std::size_t fixed = polled.size();
  for (const UniqueFd& listener : listeners) polled.push_back({listener.get(), POLLIN, 0});
  if (::poll(polled.data(), polled.size(), timeout_ms) <= 0 || polled[0].revents != 0) return false;
  if (polled[1].revents != 0) take_question();
  if (polled[2].revents != 0) take_dns_connection();
  if (polled[3].revents != 0) see_connection();
  for (std::size_t i = fixed; i < polled.size(); ++i)
    if (polled[i].revents != 0) take_connection(polled[i].fd);
  return true;
}

void EgressRelay::Impl::run() {
  while (!stop.cancelled()) serve_ready(-1);
}

EgressRelay::EgressRelay(int name_space, EgressSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {
  in_name_space(name_space, [this] { impl_->set_up(); });
  impl_->thread = start_thread([impl = impl_.get()] { impl->run(); });
}

EgressRelay::~EgressRelay() {
  impl_->stop.cancel();
  if (impl_->thread.joinable()) impl_->thread.join();
}

std::vector<std::string> EgressRelay::take_refused() {
  for (std::size_t i = 0; i < kMostWaiting && impl_->serve_ready(0); ++i) continue;  // that the thread has not seen yet
  return impl_->refused.take();
}

}  // namespace cbuild::sandbox::network
