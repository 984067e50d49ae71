// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::registry {

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

FakeServer::FakeServer(Handler handler) : handler_(std::move(handler)) {
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CBUILD_CHECK(::bind(listener_.get(), generic, sizeof address) == 0);
  CBUILD_CHECK(::listen(listener_.get(), 64) == 0);
  CBUILD_CHECK(::getsockname(listener_.get(), generic, &length) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

FakeServer::~FakeServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (Connection& connection : connections_) {
      if (connection.fd) ::shutdown(connection.fd.get(), SHUT_RDWR);
    }
  }
  for (Connection& connection : connections_) connection.thread.join();
}

std::string FakeServer::authority() const { return cat("127.0.0.1:", port_); }

std::vector<FakeRequest> FakeServer::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::size_t FakeServer::count(const std::string& method, const std::string& path_part) const {
  const std::vector<FakeRequest> all = log();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const FakeRequest& r) {
    return r.method == method && r.path.find(path_part) != std::string::npos;
  }));
}

void FakeServer::accept_loop() {
  while (!stopping_) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    const std::lock_guard lock(mutex_);
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    connection.thread = std::thread([this, &connection] { serve(connection); });
  }
}

void FakeServer::serve(Connection& connection) {
  int fd = -1;
  {
    const std::lock_guard lock(mutex_);
    fd = connection.fd.get();
  }
  Reader reader(fd);
  while (!stopping_) {
    const std::optional<FakeRequest> request = read_request(reader);
    if (!request) break;
    FakeResponse response;
    {
      const std::lock_guard handling(handler_mutex_);
      {
        const std::lock_guard lock(mutex_);
        log_.push_back(*request);
      }
      response = handler_(*request);
    }
    if (!respond(fd, *request, response)) break;
  }
  const std::lock_guard lock(mutex_);
  connection.fd.reset();
}

bool FakeServer::respond(int fd, const FakeRequest& request, const FakeResponse& response) {
  std::string head = cat("HTTP/1.1 ", response.status, " Status\r\n");
  for (const auto& [name, value] : response.headers) head += cat(name, ": ", value, "\r\n");
  const bool bodyless = request.method == "HEAD" || response.status == 204;
  if (!response.no_length && response.status != 204) {
    const auto has_length = [](const auto& h) { return iequals(h.first, "content-length"); };
    if (std::none_of(response.headers.begin(), response.headers.end(), has_length)) {
      head += cat("Content-Length: ", response.stated_length.value_or(response.body.size()), "\r\n");
    }
  }
  if (!send_all(fd, head + "\r\n")) return false;
  if (bodyless) return true;
  const std::size_t most = std::min(response.reset_after.value_or(response.body.size()),
                                    response.stall_after.value_or(response.body.size()));
  if (!send_all(fd, std::string_view(response.body).substr(0, most))) return false;
  if (response.reset_after) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // a reset throws away what was not read yet
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return false;
  }
  if (response.stall_after) {
    pollfd gone{fd, POLLIN | POLLRDHUP, 0};
    ::poll(&gone, 1, -1);
    return false;
  }
  return !response.no_length && !response.stated_length;
}

}  // namespace cbuild::oci::registry
