// SPDX-License-Identifier: Apache-2.0
// libcurl connects to sockets by path, so the way through ssh has one: a thread accepts connections and gives each to a
// client of its own as stdin and stdout. The socket lies in a directory that nobody else can enter.
#include "exporter/engine_dial.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::exporter {
namespace {

std::vector<std::string> dial_command(const std::string& url) {
  std::string rest = url.substr(std::string_view("ssh://").size()), socket;
  if (const std::size_t slash = rest.find('/'); slash != std::string::npos) {
    socket = rest.substr(slash);
    rest.resize(slash);
  }
  std::vector<std::string> argv = {"ssh", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T"};
  if (const std::size_t at = rest.rfind('@'); at != std::string::npos) {
    argv.insert(argv.end(), {"-l", rest.substr(0, at)});
    rest.erase(0, at + 1);
  }
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string::npos && rest.find(']', colon) == std::string::npos) {
    argv.insert(argv.end(), {"-p", rest.substr(colon + 1)});
    rest.resize(colon);
  }
  if (rest.empty() || rest.starts_with('-')) throw Error(ErrorCode::usage, cat("invalid engine address ", url));
  argv.insert(argv.end(), {"--", rest, "docker"});
  if (!socket.empty() && socket != "/") argv.insert(argv.end(), {"--host", shell_quote("unix://" + socket)});
  argv.insert(argv.end(), {"system", "dial-stdio"});
  return argv;
}

UniqueFd listen_at(const std::string& path) {
  UniqueFd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!out) throw_errno(errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error(ErrorCode::input, cat(path, " is too long for a socket"));
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::bind(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(out.get(), 8) != 0)
    throw_errno(errno, cat("socket ", path));
  return out;
}

}  // namespace

struct EngineDial::Impl {
  explicit Impl(const std::string& url) : argv(dial_command(url)) {
    if (!stop) throw_errno(errno, "eventfd");
    thread = std::thread([this] { serve(); });
  }
  ~Impl() {
    const std::uint64_t one = 1;
    (void)!::write(stop.get(), &one, sizeof one);
    thread.join();
  }

  void serve() {
    pollfd waits[] = {{listener.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
    while (true) {
      if (::poll(waits, 2, -1) < 0 && errno != EINTR) return;
      if (waits[1].revents != 0) return;
      if (waits[0].revents == 0) continue;
      const UniqueFd end(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!end) continue;
      try {
        clients.push_back(
            Child::spawn({.argv = argv, .stdin_fd = end.get(), .stdout_fd = end.get(), .stderr_fd = STDERR_FILENO}));
      } catch (const Error&) {
        continue;  // the connection ends, which the one who wants it sees
      }
    }
  }

  const std::vector<std::string> argv;
  TempDir directory = TempDir::in_tmp("cbuild-engine");
  const std::string path = directory.path() + "/socket";
  UniqueFd listener = listen_at(path);
  UniqueFd stop{::eventfd(0, EFD_CLOEXEC)};
  std::list<Child> clients;  ///< of the thread
  std::thread thread;
};

EngineDial::EngineDial(const std::string& url) : impl_(std::make_unique<Impl>(url)) {}
EngineDial::~EngineDial() = default;
const std::string& EngineDial::path() const { return impl_->path; }

}  // namespace cbuild::exporter
