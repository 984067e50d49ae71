// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A small HTTP/1.1 server on loopback for tests, able to misbehave on purpose. A thread of it that hangs makes the
/// test fail when the server ends; it does not keep the others from running.
namespace cbuild::http {

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
  bool chunked = false;                           ///< Transfer-Encoding; `reset_after` cuts it in a chunk
  bool silent = false;                            ///< no answer, until the client goes
  bool hang_up = false;                           ///< the connection ends instead of an answer
  std::optional<std::string> raw = {};            ///< these bytes instead of an HTTP answer, then the end
  unsigned drip_ms = 0;                           ///< one byte of the body in that time
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
  /// The requests so far.
  std::vector<FakeRequest> log() const;
  std::size_t count(const std::string& method, const std::string& path_part) const;

 private:
  struct State;
  static void accept_loop(const std::shared_ptr<State>& state);
  static void serve(State& state, int fd);

  const std::shared_ptr<State> state_;  ///< shared with the threads
  int port_ = 0;
};

}  // namespace cbuild::http
