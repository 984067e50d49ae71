// SPDX-License-Identifier: Apache-2.0
#include "api/session/tunnel.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/process/threads.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kChunk = 128u << 10;  // of a message to the client, which takes up to 4 MiB

bool send_whole(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

Tunnel::Tunnel(SessionStream stream) : stream_(std::move(stream)) {
  end_event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end_event_) throw_errno(errno, "eventfd");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno(errno, "socketpair");
  near_.reset(ends[0]);
  far_.reset(ends[1]);
  if (::fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) throw_errno(errno, "fcntl");
  in_ = start_thread([this] { carry_in(); });
  try {
    out_ = start_thread([this] { carry_out(); });
  } catch (const Error&) {
    end(carries_out_);
    close();
    in_.join();
    throw;
  }
}

Tunnel::~Tunnel() {
  close();
  wait_closed();
}

void Tunnel::close() noexcept {
  shut();
  const std::lock_guard lock(mutex_);
  if ((!carries_in_ && !carries_out_) || stopped_) return;
  stopped_ = true;
  if (stream_.stop) stream_.stop();
}

/// Whoever sees the end of the socket then also sees that the tunnel is not open.
void Tunnel::shut() noexcept {
  open_ = false;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(end_event_.get(), &one, sizeof one);
  ::shutdown(near_.get(), SHUT_RDWR);
}

void Tunnel::wait_closed() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return !carries_in_ && !carries_out_; });
}

void Tunnel::carry_in() {
  std::string data;
  while (stream_.read(data) && send_whole(near_.get(), data)) {
  }
  // In this order, or the other direction would take this one for one that has to be stopped.
  end(carries_in_);
  shut();
}

void Tunnel::carry_out() {
  std::vector<char> buffer(kChunk);
  for (;;) {
    const ssize_t count = ::recv(near_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || !stream_.write({buffer.data(), static_cast<std::size_t>(count)})) break;
  }
  shut();
  end(carries_out_);
}

/// A client that ended by itself is not stopped: it waits for the status of its call.
void Tunnel::end(bool& direction) noexcept {
  const std::lock_guard lock(mutex_);
  direction = false;
  if (carries_in_ && !stopped_) {
    stopped_ = true;
    if (stream_.stop) stream_.stop();
  }
  ended_.notify_all();
}

}  // namespace cbuild::api
