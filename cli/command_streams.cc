// SPDX-License-Identifier: Apache-2.0
// One thread carries bytes in both directions with poll(2), never more than it can get rid of, until it is told that
// the command has ended. The size of the window is looked at four times a second: a handler of SIGWINCH would belong to
// the whole process.
#include "cli/command_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/process/threads.h"
#include "base/sys.h"

namespace cbuild::cli {
namespace {

constexpr int kWindowMilliseconds = 250;
constexpr std::size_t kChunk = 16u << 10;

/// Bytes on their way from one descriptor to another.
class Flow {
 public:
  Flow(int from, int to) : from_(from), to_(to) {}

  bool ended() const { return from_ < 0 && waiting_.empty(); }
  /// The next thing to wait for; a negative descriptor for nothing.
  pollfd wanted() const {
    if (!waiting_.empty()) return {to_, POLLOUT, 0};
    return {from_, POLLIN, 0};
  }
  void advance(short events) {
    if (events == 0) return;
    if (waiting_.empty())
      read_some();
    else
      write_some();
  }

 private:
  void read_some() {
    std::array<char, kChunk> bytes;
    const ssize_t got = ::read(from_, bytes.data(), bytes.size());
    if (got > 0) waiting_.assign(bytes.data(), static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) from_ = -1;
  }
  void write_some() {
    const ssize_t put = ::write(to_, waiting_.data(), waiting_.size());
    if (put > 0) waiting_.erase(0, static_cast<std::size_t>(put));
    if (put >= 0 || errno == EINTR || errno == EAGAIN) return;
    waiting_.clear();  // nobody takes it any more
    from_ = -1;
  }

  int from_;
  const int to_;
  std::string waiting_;
};

UniqueFd open_pair(UniqueFd& near_end) {
  near_end = UniqueFd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!near_end || ::grantpt(near_end.get()) != 0 || ::unlockpt(near_end.get()) != 0)
    throw_errno(errno, "open a terminal for the command");
  const int far_end = ::ioctl(near_end.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (far_end < 0) throw_errno(errno, "open a terminal for the command");
  return UniqueFd(far_end);
}

/// What the command wrote at last.
void show_rest(int from, int to) {
  Flow rest(from, to);
  while (!rest.ended()) {
    pollfd polled = rest.wanted();
    if (::poll(&polled, 1, polled.events == POLLIN ? 0 : -1) <= 0) return;
    rest.advance(polled.revents);
  }
}

}  // namespace

CommandStreams::CommandStreams(StreamKind kind, int shown) : kind_(kind), shown_(shown) {
  if (kind == StreamKind::output) return;
  if (kind == StreamKind::terminal) {
    open_terminal();
  } else {
    Pipe pipe = make_pipe();
    input_ = std::move(pipe.read);
    near_ = std::move(pipe.write);
  }
  ::fcntl(near_.get(), F_SETFL, ::fcntl(near_.get(), F_GETFL) | O_NONBLOCK);
  thread_ = start_thread([this] { carry(); });
}

CommandStreams::~CommandStreams() {
  if (!thread_.joinable()) return;
  stop_.cancel();
  thread_.join();
  if (kind_ == StreamKind::terminal) show_rest(near_.get(), shown_);
  if (before_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
}

void CommandStreams::open_terminal() {
  terminal_ = open_pair(near_);
  fit_window();
  termios now{};
  if (::tcgetattr(STDIN_FILENO, &now) != 0) return;
  before_ = now;
  ::cfmakeraw(&now);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
}

void CommandStreams::fit_window() {
  winsize size{};
  if (::ioctl(shown_, TIOCGWINSZ, &size) != 0) return;
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
  if (bytes == window_) return;
  ::ioctl(near_.get(), TIOCSWINSZ, &size);
  window_ = std::move(bytes);
}

void CommandStreams::carry() {
  const bool terminal = kind_ == StreamKind::terminal;
  Flow in(STDIN_FILENO, near_.get()), out(terminal ? near_.get() : -1, shown_);
  for (;;) {
    pollfd polled[] = {{stop_.event_fd(), POLLIN, 0}, in.wanted(), out.wanted()};
    if (::poll(polled, 3, terminal ? kWindowMilliseconds : -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    in.advance(polled[1].revents);
    out.advance(polled[2].revents);
    if (terminal) fit_window();
    if (!terminal && in.ended()) return near_.reset();
  }
}

}  // namespace cbuild::cli
