// SPDX-License-Identifier: Apache-2.0
// pasta first: it gives a step the machine's own addresses and IPv6. slirp4netns, which works without a route to the
// outside, ends by itself when its descriptor closes; pasta leaves the build's process group, so it is noted in the
// ledger.
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/network/maker.h"
#include "sandbox/network/name_space.h"

namespace cbuild::sandbox::network {
namespace {

constexpr int kReadyMs = 10'000;

/// Standard input is the namespace's descriptor, because pasta opens it by a path, with rights that do not reach this
/// process's other descriptors.
class PastaOutlet final : public Outlet {
 public:
  PastaOutlet(UniqueFd name_space, const std::string& program, const Options& options, Ledger& ledger)
      : Outlet(std::move(name_space)) {
    static std::atomic<unsigned> count = 0;
    const std::string pid_file = ledger.sibling(cat("pasta-", ++count));
    std::vector<std::string> argv = {program, "--config-net", "--quiet", "--netns-only", "-t",   "none",  "-u",
                                     "none",  "-T",           "none",    "-U",           "none", "--pid", pid_file};
    if (!options.reach_host) argv.emplace_back("--no-map-gw");
    if (::geteuid() == 0) argv.insert(argv.end(), {"--runas", "0"});
    argv.insert(argv.end(), {"--netns", "/proc/self/fd/0"});
    const auto [errors, errors_end] = make_pipe(O_NONBLOCK);
    Child child = Child::spawn({.argv = argv, .stdin_fd = fd(), .stderr_fd = errors_end.get()});
    pollfd started{child.pidfd(), POLLIN, 0};
    if (::poll(&started, 1, kReadyMs) != 1) throw Error(ErrorCode::unsupported, "pasta did not start");
    const int code = child.wait();
    if (code != 0)
      throw Error(ErrorCode::unsupported, cat("pasta: exit code ", code, ": ", trim(read_some(errors.get()))));
    const auto pid = parse_int(trim(sys::read_file_at(AT_FDCWD, pid_file, 64)));
    ::unlink(pid_file.c_str());
    if (!pid || *pid <= 1) throw Error(ErrorCode::unsupported, "pasta: wrote no process id");
    entry_ = process_entry(static_cast<pid_t>(*pid));
    process_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    ledger.add(entry_);
  }
  ~PastaOutlet() override {
    end_process(entry_);
    pollfd polled{process_.get(), POLLIN, 0};
    (void)::poll(&polled, 1, 1000);
  }

 private:
  static std::string read_some(int fd) {
    char text[2048];
    const ssize_t size = ::read(fd, text, sizeof text);
    return size > 0 ? replace_all(std::string(text, static_cast<std::size_t>(size)), "\n", "; ") : std::string();
  }

  std::string entry_;
  UniqueFd process_;
};

class SlirpOutlet final : public Outlet {
 public:
  SlirpOutlet(UniqueFd name_space, const std::string& program, const Options& options) : Outlet(std::move(name_space)) {
    auto [alive_end, alive] = make_pipe();
    alive_ = std::move(alive);
    auto [ready_read, ready_write] = make_pipe();
    std::vector<std::string> argv = {program,         "--configure", "--mtu=65520",
                                     "--enable-ipv6", "--exit-fd=0", "--ready-fd=1"};
    if (!options.reach_host) argv.emplace_back("--disable-host-loopback");
    // This process does not exec, so its descriptor stays; the child may look at it, being the same user with the same
    // rights.
    argv.insert(argv.end(), {"--netns-type=path", cat("/proc/", ::getpid(), "/fd/", fd()), "tap0"});
    child_.emplace(Child::spawn({.argv = argv, .stdin_fd = alive_end.get(), .stdout_fd = ready_write.get()}));
    ready_write.reset();
    pollfd polled{ready_read.get(), POLLIN, 0};
    char one = 0;
    if (::poll(&polled, 1, kReadyMs) != 1 || ::read(ready_read.get(), &one, 1) != 1)
      throw Error(ErrorCode::unsupported, "slirp4netns did not start");
  }

 private:
  UniqueFd alive_;
  std::optional<Child> child_;
};

class UserMode final : public OutletMaker {
 public:
  UserMode(std::string pasta, std::string slirp) : pasta_(std::move(pasta)), slirp_(std::move(slirp)) {}

  std::string name() const override { return use_pasta() ? "pasta" : "slirp4netns"; }

  std::unique_ptr<Outlet> make(const Options& options, Ledger& ledger) override {
    if (use_pasta()) {
      try {
        return std::make_unique<PastaOutlet>(make_name_space(), pasta_, options, ledger);
      } catch (const Error&) {
        if (slirp_.empty()) throw;
        pasta_failed_ = true;
      }
    }
    return std::make_unique<SlirpOutlet>(make_name_space(), slirp_, options);
  }

 private:
  bool use_pasta() const { return !pasta_.empty() && !pasta_failed_; }

  const std::string pasta_, slirp_;
  std::atomic<bool> pasta_failed_ = false;
};

}  // namespace

std::string find_tool(std::string_view name) {
  return find_program(name, cat(program_path(), ":/usr/sbin:/usr/bin:/sbin:/usr/local/bin"));
}

std::unique_ptr<OutletMaker> make_user_mode() {
  std::string pasta = find_tool("pasta"), slirp = find_tool("slirp4netns");
  if (pasta.empty() && slirp.empty()) return nullptr;
  if (!sys::try_open_at(AT_FDCWD, "/dev/net/tun", O_RDWR)) return nullptr;
  return std::make_unique<UserMode>(std::move(pasta), std::move(slirp));
}

}  // namespace cbuild::sandbox::network
