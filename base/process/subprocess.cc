// SPDX-License-Identifier: Apache-2.0
// Starts programs with posix_spawn, which is safe next to other threads and copies no page tables. A child gets no
// descriptors but its three streams, default signals, and usually a process group of its own, which is killed as a
// whole. run_command() reads both pipes in one poll loop with the child's pidfd, so a process that the program left
// behind and that still holds a pipe is not waited for. Output above a limit is read and dropped.
#include "base/process/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/sys.h"
#include "base/sys_detail.h"
#include "base/text.h"

namespace cbuild {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kLargestPipe = 1u << 20;

/// posix_spawn's functions return the error instead of setting errno.
void check(int err, const char* what) {
  if (err != 0) throw_errno(err, what);
}

class SpawnActions {
 public:
  SpawnActions() { check(::posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init"); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

  /// `fd` becomes `target` in the child; -1 stands for /dev/null.
  void redirect(int fd, int target) {
    if (fd < 0)
      check(::posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDWR, 0), "posix_spawn");
    else
      check(::posix_spawn_file_actions_adddup2(&actions_, above_stdio(fd), target), "posix_spawn");
  }
  void change_directory(const std::string& directory) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str()), "posix_spawn");
  }
  void close_others() { check(::posix_spawn_file_actions_addclosefrom_np(&actions_, 3), "posix_spawn"); }

 private:
  /// A source among 0..2 could be overwritten by an earlier redirection.
  int above_stdio(int fd) {
    if (fd > 2) return fd;
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw_errno(errno, "duplicate a descriptor");
    copies_.emplace_back(copy);
    return copy;
  }

  posix_spawn_file_actions_t actions_;
  std::vector<UniqueFd> copies_;
};

class SpawnAttributes {
 public:
  explicit SpawnAttributes(bool new_group) {
    check(::posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    const int group = new_group ? POSIX_SPAWN_SETPGROUP : 0;
    ::posix_spawnattr_setflags(&attributes_,
                               static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group));
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

UniqueFd open_pidfd(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) throw_errno(errno, "pidfd_open");
  return UniqueFd(static_cast<int>(fd));
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

[[noreturn]] void throw_spawn_error(int err, const Child::Options& options) {
  if (err == ENOENT && !options.directory.empty() && !sys::try_stat_at(AT_FDCWD, options.directory, 0))
    throw_errno(err, cat("run ", options.argv[0], " in ", options.directory));
  throw_errno(err, cat("run ", options.argv[0]));
}

/// The input as an anonymous file: unlike a pipe it needs no writer and no care for SIGPIPE.
UniqueFd input_file(std::string_view input) {
  if (input.empty()) return {};
  UniqueFd fd(::memfd_create("stdin", MFD_CLOEXEC));
  if (!fd) throw_errno(errno, "memfd_create");
  sys::pwrite_all(fd.get(), input, 0);
  return fd;
}

/// Collects the bytes from a pipe, up to a limit.
class Collector {
 public:
  Collector(UniqueFd fd, std::size_t limit) : fd_(std::move(fd)), limit_(limit) {
    if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) throw_errno(errno, "fcntl");
  }
  int fd() const { return fd_.get(); }  ///< -1 at the end
  /// Takes what a pipe can hold, no more: somebody may fill it as fast as we read.
  void drain() {
    std::array<char, 16384> buffer;
    for (std::size_t taken = 0; fd_ && taken < kLargestPipe; taken += buffer.size()) {
      const ssize_t size = sys::detail::retry([&] { return ::read(fd_.get(), buffer.data(), buffer.size()); });
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) return fd_.reset();
      text_.append(buffer.data(), std::min(static_cast<std::size_t>(size), limit_ - text_.size()));
    }
  }
  std::string take() { return std::move(text_); }

 private:
  UniqueFd fd_;
  std::size_t limit_;
  std::string text_;
};

/// Reads both pipes until the child has ended; false at the timeout. Pipes that a process left behind by the child
/// keeps open are not waited for.
bool collect_until_exit(const Child& child, Collector& out, Collector& err, steady_clock::time_point deadline,
                        const CommandOptions& options) {
  const CancelSource* cancel = options.cancel;
  const int cancel_fd = cancel == nullptr ? -1 : cancel->event_fd();
  auto next_watch = options.watch ? steady_clock::now() + options.watch_every : steady_clock::time_point::max();
  for (;;) {
    if (steady_clock::now() >= next_watch) {
      options.watch(child.pid());
      next_watch = steady_clock::now() + options.watch_every;
    }
    const auto now = steady_clock::now();
    if (now >= deadline) return false;
    const auto left =
        std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(std::min(deadline, next_watch) - now).count());
    std::array<pollfd, 4> fds = {pollfd{child.pidfd(), POLLIN, 0}, pollfd{out.fd(), POLLIN, 0},
                                 pollfd{err.fd(), POLLIN, 0}, pollfd{cancel_fd, POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
    if (ready < 0 && errno != EINTR) throw_errno(errno, "poll");
    if (ready <= 0) continue;
    if (cancel != nullptr) cancel->check();
    if (fds[1].revents != 0) out.drain();
    if (fds[2].revents != 0) err.drain();
    if (fds[0].revents == 0) continue;
    out.drain();
    err.drain();
    return true;
  }
}

}  // namespace

Pipe make_pipe(int flags) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | flags) != 0) throw_errno(errno, "pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string find_program(std::string_view name, std::string_view path) {
  for (const std::string& directory : split(path, ':')) {
    std::string candidate = cat(directory, "/", name);
    if (directory.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

std::string program_path() {
  const char* path = std::getenv("PATH");
  return path == nullptr || *path == '\0' ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : path;
}

bool has_variable(const std::vector<std::string>& environment, std::string_view name) {
  return std::any_of(environment.begin(), environment.end(), [&](const std::string& entry) {
    return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
  });
}

void set_variable(std::vector<std::string>& environment, const std::string& entry) {
  const std::string_view name = std::string_view(entry).substr(0, entry.find('=') + 1);
  std::erase_if(environment, [&](const std::string& other) { return other.starts_with(name); });
  environment.push_back(entry);
}

Child Child::spawn(const Options& options) {
  if (options.argv.empty()) throw Error(ErrorCode::internal, "no program to run");
  SpawnActions actions;
  actions.redirect(options.stdin_fd, 0);
  actions.redirect(options.stdout_fd, 1);
  actions.redirect(options.stderr_fd, 2);
  if (!options.directory.empty()) actions.change_directory(options.directory);
  actions.close_others();
  const SpawnAttributes attributes(options.new_group);
  const std::vector<char*> argv = pointers(options.argv);
  std::vector<char*> environment;
  if (options.environment) environment = pointers(*options.environment);

  Child child;
  const int err = ::posix_spawnp(&child.pid_, argv[0], actions.get(), attributes.get(), argv.data(),
                                 options.environment ? environment.data() : environ);
  if (err != 0) {
    child.pid_ = -1;
    throw_spawn_error(err, options);
  }
  child.own_group_ = options.new_group;
  child.pidfd_ = open_pidfd(child.pid_);
  return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), own_group_(other.own_group_) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    own_group_ = other.own_group_;
  }
  return *this;
}

Child::~Child() { kill_and_reap(); }

void Child::kill_and_reap() noexcept {
  if (pid_ <= 0) return;
  // Before it is reaped: afterwards the number may belong to somebody else.
  signal(SIGKILL);
  sys::detail::retry([&] { return ::waitpid(pid_, nullptr, 0); });
  pid_ = -1;
  pidfd_.reset();
}

int Child::wait() {
  CBUILD_CHECK(pid_ > 0);
  int status = 0;
  if (sys::detail::retry([&] { return ::waitpid(pid_, &status, 0); }) < 0) throw_errno(errno, "waitpid");
  pid_ = -1;
  return exit_code(status);
}

void Child::signal(int signo) noexcept {
  if (pid_ > 0) ::kill(own_group_ ? -pid_ : pid_, signo);
}

CommandResult run_command(const std::vector<std::string>& argv, const CommandOptions& options) {
  const UniqueFd in = input_file(options.input);
  Pipe out = make_pipe(), err = make_pipe();
  const Child::Options spawn{.argv = argv,
                             .environment = options.environment,
                             .directory = options.directory,
                             .stdin_fd = in.get(),
                             .stdout_fd = out.write.get(),
                             .stderr_fd = err.write.get()};
  const auto deadline = steady_clock::now() + options.timeout;
  Child child = Child::spawn(spawn);
  out.write.reset();
  err.write.reset();
  Collector out_text(std::move(out.read), options.limit), err_text(std::move(err.read), options.limit);
  if (!collect_until_exit(child, out_text, err_text, deadline, options))
    throw Error(ErrorCode::io,
                cat(argv[0], " did not end within ", format_go_duration(options.timeout.count() * 1'000'000)));
  return {child.wait(), out_text.take(), err_text.take()};
}

CommandResult run_command(const std::vector<std::string>& argv, std::string_view input, milliseconds timeout,
                          std::size_t limit, const std::optional<std::vector<std::string>>& environment) {
  return run_command(argv,
                     CommandOptions{.input = input, .timeout = timeout, .limit = limit, .environment = environment});
}

}  // namespace cbuild
