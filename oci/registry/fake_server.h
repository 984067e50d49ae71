// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"

/// A small HTTP/1.1 server on loopback for tests, able to misbehave on purpose.
namespace cbuild::oci::registry {

struct FakeRequest {
  std::string method, path, body;
  std::string target;                             ///< path and query as they came
  std::map<std::string, std::string> headers;     ///< names in lower case
  std::multimap<std::string, std::string> query;  ///< decoded

  std::string header(const std::string& name) const;
  std::string param(const std::string& name) const;
  std::vector<std::string> params(const std::string& name) const;
};

struct FakeResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // Faults:
  std::optional<std::size_t> reset_after = {};    ///< RST after so many bytes of the body
  std::optional<std::size_t> stall_after = {};    ///< nothing more after so many bytes, until the client goes
  std::optional<std::size_t> stated_length = {};  ///< Content-Length that is not the body's
  bool no_length = false;                         ///< the end of the connection ends the body
};

class FakeServer {
 public:
  /// Called for one request at a time.
  using Handler = std::function<FakeResponse(const FakeRequest&)>;
  explicit FakeServer(Handler handler);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  /// "127.0.0.1:<port>".
  std::string authority() const;
  std::string url(const std::string& path) const { return "http://" + authority() + path; }
  /// What came so far.
  std::vector<FakeRequest> log() const;
  std::size_t count(const std::string& method, const std::string& path_part) const;

 private:
  struct Connection {
    UniqueFd fd;
    std::thread thread;
  };
  void accept_loop();
  void serve(Connection& connection);
  bool respond(int fd, const FakeRequest& request, const FakeResponse& response);

  Handler handler_;
  UniqueFd listener_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // guards log_, connections_
  std::mutex handler_mutex_;
  std::vector<FakeRequest> log_;
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace cbuild::oci::registry
