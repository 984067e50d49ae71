// SPDX-License-Identifier: Apache-2.0
#include "api/session/tunnel.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/test_wait.h"

namespace cbuild::api {
namespace {

/// A client as two queues of messages.
class Queues {
 public:
  SessionStream stream() {
    return {[this](std::string& data) { return next(data); },
            [this](std::string_view data) {
              const std::lock_guard lock(mutex_);
              sent_ += data;
              changed_.notify_all();
              return !stopped_;
            },
            [this] {
              const std::lock_guard lock(mutex_);
              ++stops_;
              stopped_ = true;
              changed_.notify_all();
            }};
  }
  void put(std::string data) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(data));
    changed_.notify_all();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  void await_sent(const std::string& text) {
    const ::cbuild::test::Awaiting wait("bytes at the client");
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sent_ == text; });
  }
  int stops() {
    const std::lock_guard lock(mutex_);
    return stops_;
  }

 private:
  bool next(std::string& data) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || ended_ || !messages_.empty(); });
    if (stopped_ || messages_.empty()) return false;
    data = std::move(messages_.front());
    messages_.pop_front();
    return true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> messages_;
  std::string sent_;
  bool ended_ = false, stopped_ = false;
  int stops_ = 0;
};

/// Reads `size` bytes, or fewer at the end.
std::string read_from(int fd, std::size_t size) {
  const ::cbuild::test::Awaiting wait("bytes from the tunnel");
  std::string result(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, -1);
    const ssize_t count = ::recv(fd, result.data() + have, size - have, 0);
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  return result.substr(0, have);
}

}  // namespace

TEST_CASE("a tunnel carries bytes both ways") {
  Queues client;
  Tunnel tunnel(client.stream());
  const UniqueFd end = tunnel.take_end();
  client.put("ab");
  client.put("");
  client.put("c");
  CHECK(read_from(end.get(), 3) == "abc");
  REQUIRE(::send(end.get(), "xyz", 3, 0) == 3);
  client.await_sent("xyz");
  CHECK(tunnel.is_open());
}

TEST_CASE("a tunnel ends when the client does, without stopping it") {
  Queues client;
  Tunnel tunnel(client.stream());
  UniqueFd end = tunnel.take_end();
  client.put("last");
  client.end();
  CHECK(read_from(end.get(), 100) == "last");
  CHECK_FALSE(tunnel.is_open());
  end.reset();
  const ::cbuild::test::Awaiting wait("the end of the tunnel");
  tunnel.wait_closed();
  CHECK(client.stops() == 0);
}

TEST_CASE("a tunnel stops its client once when its own end is closed") {
  Queues client;
  Tunnel tunnel(client.stream());
  tunnel.take_end().reset();
  const ::cbuild::test::Awaiting wait("the end of the tunnel");
  tunnel.wait_closed();
  tunnel.close();
  CHECK(client.stops() == 1);
}

TEST_CASE("closing a tunnel ends it, also twice") {
  Queues client;
  Tunnel tunnel(client.stream());
  const UniqueFd end = tunnel.take_end();
  tunnel.close();
  tunnel.close();
  CHECK_FALSE(tunnel.is_open());
  const ::cbuild::test::Awaiting wait("the end of the tunnel");
  tunnel.wait_closed();
  CHECK(client.stops() == 1);
  CHECK(read_from(end.get(), 1).empty());
}

}  // namespace cbuild::api
