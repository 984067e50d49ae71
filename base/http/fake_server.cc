// SPDX-License-Identifier: Apache-2.0
// A thread accepts, one thread serves each connection; the handler of the test runs one request at a time and needs no
// lock of its own. Threads are detached and share the state: one that hangs fails its test after a limit but cannot
// hang the run. Faults are carried out when the response is written.
#include "base/http/fake_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(parse_int(text.substr(i + 1, 2), 16).value_or('?'));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

bool send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Reads from a connection with a buffer that survives pipelined requests.
class Reader {
 public:
  explicit Reader(int fd) : fd_(fd) {}

  std::optional<std::string> until(std::string_view mark) {
    while (true) {
      if (const std::size_t at = buffer_.find(mark); at != std::string::npos) {
        std::string out = buffer_.substr(0, at);
        buffer_.erase(0, at + mark.size());
        return out;
      }
      if (buffer_.size() > (1u << 16) || (!buffer_.empty() && buffer_[0] == '\x16') || !fill()) return std::nullopt;
    }
  }

  std::optional<std::string> exactly(std::size_t size) {
    while (buffer_.size() < size) {
      if (!fill()) return std::nullopt;
    }
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return out;
  }

 private:
  bool fill() {
    char chunk[65536];
    const ssize_t n = ::recv(fd_, chunk, sizeof chunk, 0);
    if (n <= 0) return false;
    buffer_.append(chunk, static_cast<std::size_t>(n));
    return true;
  }

  int fd_;
  std::string buffer_;
};

void parse_target(FakeRequest& request) {
  const std::size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question == std::string::npos) return;
  for (const std::string& member : split(std::string_view(request.target).substr(question + 1), '&')) {
    const std::size_t equals = std::min(member.find('='), member.size());
    request.query.emplace(decode(member.substr(0, equals)),
                          equals < member.size() ? decode(member.substr(equals + 1)) : "");
  }
}

std::optional<FakeRequest> read_request(Reader& reader) {
  const std::optional<std::string> head = reader.until("\r\n\r\n");
  if (!head) return std::nullopt;
  const std::vector<std::string> lines = split(*head, '\n');
  const std::vector<std::string> words = split(trim(lines[0]), ' ');
  if (words.size() != 3) return std::nullopt;
  FakeRequest request;
  request.method = words[0];
  request.target = words[1];
  parse_target(request);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::size_t colon = lines[i].find(':');
    if (colon == std::string::npos) return std::nullopt;
    request.headers[to_lower(std::string_view(lines[i]).substr(0, colon))] =
        trim(std::string_view(lines[i]).substr(colon + 1));
  }
  const auto length = parse_int(request.header("content-length"));
  auto body = reader.exactly(static_cast<std::size_t>(length.value_or(0)));
  if (!body) return std::nullopt;
  request.body = std::move(*body);
  return request;
}

}  // namespace

std::string FakeRequest::header(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? std::string() : it->second;
}

std::string FakeRequest::param(const std::string& name) const {
  const auto it = query.find(name);
  return it == query.end() ? std::string() : it->second;
}

std::vector<std::string> FakeRequest::params(const std::string& name) const {
  std::vector<std::string> out;
  for (auto [it, end] = query.equal_range(name); it != end; ++it) out.push_back(it->second);
  return out;
}

struct FakeServer::State {
  explicit State(Handler h) : handler(std::move(h)) {}

  const Handler handler;
  UniqueFd listener;
  std::atomic<bool> stopping{false};
  std::mutex handler_mutex;
  std::mutex mutex;  // guards the rest
  std::condition_variable ended;
  std::vector<FakeRequest> log;
  std::map<int, UniqueFd> connections;
  std::string handling;     ///< the request that the handler works on
  std::size_t threads = 0;  ///< that run
};

namespace {

constexpr std::chrono::seconds kLongestEnd{30}, kLongestStall{120};

/// Runs a function on a thread that the state knows of.
template <typename S, typename F>
void run_on_thread(const std::shared_ptr<S>& state, F function) {
  {
    const std::lock_guard lock(state->mutex);
    ++state->threads;
  }
  std::thread([state, function = std::move(function)] {
    function(state);
    const std::lock_guard lock(state->mutex);
    --state->threads;
    state->ended.notify_all();
  }).detach();
}

/// Waits until the client has gone or the server ends.
void wait_for_the_end(int fd, int longest_ms) {
  pollfd gone{fd, POLLIN | POLLRDHUP, 0};
  ::poll(&gone, 1, longest_ms);
}

void reset_connection(int fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::string head_of(const FakeRequest& request, const FakeResponse& response) {
  std::string head = cat("HTTP/1.1 ", response.status, " Status\r\n");
  for (const auto& [name, value] : response.headers) head += cat(name, ": ", value, "\r\n");
  const auto has_length = [](const auto& h) { return iequals(h.first, "content-length"); };
  const bool own_length = std::any_of(response.headers.begin(), response.headers.end(), has_length);
  if (response.chunked && request.method != "HEAD") {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (!response.no_length && response.status != 204 && !own_length) {
    head += cat("Content-Length: ", response.stated_length.value_or(response.body.size()), "\r\n");
  }
  return head + "\r\n";
}

bool send_drip(int fd, std::string_view body, unsigned drip_ms) {
  for (const char& c : body) {
    pollfd gone{fd, POLLRDHUP, 0};
    if (::poll(&gone, 1, static_cast<int>(drip_ms)) != 0 || !send_all(fd, {&c, 1})) return false;
  }
  return true;
}

/// Whether the connection may go on.
bool respond(int fd, const FakeRequest& request, const FakeResponse& response) {
  constexpr int kStallMs = std::chrono::milliseconds(kLongestStall).count();
  if (response.hang_up) reset_connection(fd);
  if (response.silent) wait_for_the_end(fd, kStallMs);
  if (response.silent || response.hang_up) return false;
  if (response.raw) return send_all(fd, *response.raw) && false;
  if (!send_all(fd, head_of(request, response))) return false;
  if (request.method == "HEAD" || response.status == 204) return true;
  const std::size_t most = std::min(response.reset_after.value_or(response.body.size()),
                                    response.stall_after.value_or(response.body.size()));
  const std::string_view body = std::string_view(response.body).substr(0, most);
  if (response.drip_ms > 0) return send_drip(fd, body, response.drip_ms);
  if (response.chunked) {
    char hex[32];
    std::snprintf(hex, sizeof hex, "%zx\r\n", response.body.size());
    if (!response.body.empty() && !send_all(fd, hex)) return false;
  }
  if (!send_all(fd, body)) return false;
  if (response.reset_after) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // a reset throws unread bytes away
    reset_connection(fd);
    return false;
  }
  if (response.stall_after) {
    wait_for_the_end(fd, kStallMs);
    return false;
  }
  if (response.chunked) return send_all(fd, response.body.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n");
  return !response.no_length && !response.stated_length;
}

}  // namespace

FakeServer::FakeServer(Handler handler) : state_(std::make_shared<State>(std::move(handler))) {
  state_->listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CBUILD_CHECK(::bind(state_->listener.get(), generic, sizeof address) == 0);
  CBUILD_CHECK(::listen(state_->listener.get(), 64) == 0);
  CBUILD_CHECK(::getsockname(state_->listener.get(), generic, &length) == 0);
  port_ = ntohs(address.sin_port);
  run_on_thread(state_, [](const std::shared_ptr<State>& state) { accept_loop(state); });
}

FakeServer::~FakeServer() {
  State& state = *state_;
  state.stopping = true;
  ::shutdown(state.listener.get(), SHUT_RDWR);
  std::unique_lock lock(state.mutex);
  for (const auto& [fd, connection] : state.connections) ::shutdown(fd, SHUT_RDWR);
  const bool all = state.ended.wait_for(lock, kLongestEnd, [&] { return state.threads == 0; });
  CHECK_MESSAGE(all, "the fake server does not end; it handles: " << state.handling);
}

std::string FakeServer::authority() const { return cat("127.0.0.1:", port_); }

std::vector<FakeRequest> FakeServer::log() const {
  const std::lock_guard lock(state_->mutex);
  return state_->log;
}

std::size_t FakeServer::count(const std::string& method, const std::string& path_part) const {
  const std::vector<FakeRequest> all = log();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const FakeRequest& r) {
    return r.method == method && r.path.find(path_part) != std::string::npos;
  }));
}

void FakeServer::accept_loop(const std::shared_ptr<State>& state) {
  while (!state->stopping) {
    UniqueFd connection(::accept4(state->listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    const int fd = connection.get();
    {
      const std::lock_guard lock(state->mutex);
      if (state->stopping) return;
      state->connections.emplace(fd, std::move(connection));
    }
    run_on_thread(state, [fd](const std::shared_ptr<State>& shared) { serve(*shared, fd); });
  }
}

void FakeServer::serve(State& state, int fd) {
  Reader reader(fd);
  while (!state.stopping) {
    const std::optional<FakeRequest> request = read_request(reader);
    if (!request) break;
    FakeResponse response;
    {
      const std::lock_guard handling(state.handler_mutex);
      if (state.stopping) break;
      {
        const std::lock_guard lock(state.mutex);
        state.log.push_back(*request);
        state.handling = cat(request->method, ' ', request->target);
      }
      response = state.handler(*request);
    }
    if (!respond(fd, *request, response)) break;
  }
  const std::lock_guard lock(state.mutex);
  state.connections.erase(fd);
}

}  // namespace cbuild::http
