// SPDX-License-Identifier: Apache-2.0
// Fixture of the tests that run real steps: an image made of busybox, a runner on it, and its result as text. Tests of
// ordinary users run their body in a child process that gives up root, with subordinate ids of its own mounted over
// /etc/subuid.
#include "sandbox/run_fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/test_wait.h"
#include "base/text.h"

namespace cbuild::sandbox::testing {
namespace {

constexpr uid_t kNobody = 65534;
constexpr const char* kApplets[] = {
    "sh",       "cat",   "ls",    "id",     "true",  "false",  "echo",  "sleep", "grep",   "mkdir",    "rm",
    "ln",       "chmod", "chown", "touch",  "mount", "stat",   "mknod", "dd",    "umask",  "hostname", "ip",
    "wc",       "pwd",   "env",   "kill",   "mv",    "seq",    "head",  "tr",    "yes",    "umount",   "unshare",
    "readlink", "df",    "cp",    "chroot", "find",  "printf", "sort",  "ps",    "setsid", "test",     "tail"};

std::string mode_text(const struct stat& info) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) text += static_cast<char>('0' + ((info.st_mode >> shift) & 7));
  return text;
}

std::string entry_text(int dirfd, const std::string& name, const std::string& path) {
  const struct stat info = sys::stat_at(dirfd, name);
  const std::string meta = cat("[", mode_text(info), " ", info.st_uid, ":", info.st_gid, "]");
  if (S_ISDIR(info.st_mode)) return cat(path, "/ ", meta);
  if (S_ISLNK(info.st_mode)) return cat(path, " -> ", sys::readlink_at(dirfd, name));
  if (S_ISREG(info.st_mode)) return cat(path, " file", meta, " ", sys::read_file_at(dirfd, name, 1u << 20));
  return cat(path, " ",
             S_ISBLK(info.st_mode)   ? "block"
             : S_ISCHR(info.st_mode) ? "char"
                                     : "other",
             " ", major(info.st_rdev), ":", minor(info.st_rdev));
}

void list_tree(int dirfd, const std::string& prefix, std::vector<std::string>& out) {
  for (const std::string& name : sys::list_dir(dirfd)) {
    out.push_back(entry_text(dirfd, name, prefix + name));
    if (!S_ISDIR(sys::stat_at(dirfd, name).st_mode)) continue;
    const UniqueFd below = sys::open_at(dirfd, name, O_RDONLY | O_DIRECTORY);
    list_tree(below.get(), cat(prefix, name, "/"), out);
  }
}

/// For a user who may have no way into TMPDIR, which belongs to whoever runs the tests.
void use_reachable_tmp() {
  for (const char* place : {static_cast<const char*>(std::getenv("TMPDIR")), "/tmp", "/var/tmp", "/dev/shm"})
    if (place != nullptr && *place != '\0' && ::access(place, W_OK | X_OK) == 0) {
      ::setenv("TMPDIR", place, 1);
      return;
    }
  throw Error(ErrorCode::denied, "no directory for temporary files");
}

}  // namespace

TestImage::TestImage() : dir_(TempDir::in_tmp("sandbox-test")) {
  ::fchmod(dir_.fd(), 0755);
  ::mkdirat(dir_.fd(), "layer", 0755);
  layer_ = sys::open_at(dir_.fd(), "layer", O_RDONLY | O_DIRECTORY);
  for (const char* path : {"bin", "dev", "proc", "sys", "etc", "root", "run", "var"}) make_directory(path);
  make_directory("tmp", 01777);
  for (const char* file : {"etc/hosts", "etc/resolv.conf"}) write(file, "of the image\n");
  const UniqueFd busybox = sys::open_at(AT_FDCWD, "/bin/busybox", O_RDONLY);
  const UniqueFd copy = sys::open_at(layer(), "bin/busybox", O_WRONLY | O_CREAT, 0755);
  sys::copy_file_data(busybox.get(), copy.get(), static_cast<std::uint64_t>(sys::stat_fd(busybox.get()).st_size));
  for (const char* applet : kApplets) link(cat("bin/", applet), "busybox");
}

void TestImage::make_directory(const std::string& path, mode_t mode) {
  sys::mkdir_all(layer(), path, 0755);
  ::fchmodat(layer(), path.c_str(), mode, 0);
}

void TestImage::write(const std::string& path, const std::string& text, mode_t mode) {
  const UniqueFd fd = sys::open_at(layer(), path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  sys::write_all(fd.get(), text);
  ::fchmod(fd.get(), mode);
}

void TestImage::link(const std::string& path, const std::string& to) {
  if (::symlinkat(to.c_str(), layer(), path.c_str()) != 0) throw_errno(errno, path);
}

Spec TestImage::spec(const std::string& script) { return exec({"/bin/sh", "-c", script}); }

Spec TestImage::exec(std::vector<std::string> argv) {
  const std::string name = cat("run", ++runs_);
  for (const char* part : {"fs", "work"}) sys::mkdir_all(dir_.fd(), cat(name, "/", part), 0755);
  upper_ = sys::open_at(dir_.fd(), cat(name, "/fs"), O_RDONLY | O_DIRECTORY);
  work_ = sys::open_at(dir_.fd(), cat(name, "/work"), O_RDONLY | O_DIRECTORY);
  Spec spec;
  spec.argv = std::move(argv);
  spec.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"};
  spec.lower_fds = {layer()};
  spec.upper_fd = upper_.get();
  spec.work_fd = work_.get();
  spec.hosts_file = "127.0.0.1 localhost\n";
  spec.resolv_conf = "nameserver 192.0.2.1\n";
  return spec;
}

std::vector<std::string> TestImage::upper() const {
  std::vector<std::string> entries;
  list_tree(upper_.get(), "", entries);
  return entries;
}

int TestImage::open(const std::string& path) {
  opened_.push_back(sys::open_at(dir_.fd(), path, O_PATH));
  return opened_.back().get();
}

int TestImage::skeleton() {
  sys::mkdir_all(dir_.fd(), "skeleton", 0755);
  return open("skeleton");
}

struct Running::State {
  std::mutex mutex;
  std::condition_variable changed;
  Outcome outcome;
  bool done = false;
};

Running::Running(Runner& runner, const Spec& spec) : state_(std::make_shared<State>()) {
  RunCallbacks callbacks;
  callbacks.output = [state = state_](LogStream stream, std::string_view data) {
    const std::lock_guard lock(state->mutex);
    (stream == LogStream::out ? state->outcome.out : state->outcome.err) += data;
    state->changed.notify_all();
  };
  callbacks.done = [state = state_](const Exit& exit) {
    const std::lock_guard lock(state->mutex);
    CHECK_FALSE_MESSAGE(state->done, "done() was called twice");
    state->outcome.exit = exit;
    state->done = true;
    state->changed.notify_all();
  };
  step_ = runner.run(spec, std::move(callbacks));
}

Running::~Running() { step_->stop(std::chrono::milliseconds(0)); }

void Running::wait_for(const std::string& text) {
  std::unique_lock lock(state_->mutex);
  const auto seen = [&] { return state_->done || state_->outcome.out.find(text) != std::string::npos; };
  const test::Awaiting awaiting(cat("the output ", text));
  state_->changed.wait(lock, seen);
}

Outcome Running::wait() {
  std::unique_lock lock(state_->mutex);
  const test::Awaiting awaiting("the end of the step");
  state_->changed.wait(lock, [&] { return state_->done; });
  return state_->outcome;
}

Sandbox::Sandbox(const wire::Configure& configuration)
    : zygote_(Zygote::start()), runner_(make_namespace_runner(zygote_, configuration)) {}

Sandbox::Sandbox(Mode mode) : zygote_(Zygote::start()), runner_(make_namespace_runner(zygote_, mode)) {}

Outcome Sandbox::run(const Spec& spec) { return Running(*runner_, spec).wait(); }

bool can_run_as_root() {
  static const ProbeResult result = probe(false);
  return test::can_run(result.mode == Mode::root, result.why());
}

std::string in_child(const std::function<std::string()>& body) {
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    std::string text;
    try {
      text = body();
    } catch (const Error& error) {
      text = cat("error: ", error.what(), " hint: ", error.hint());
    } catch (...) {
      text = "error: unknown";
    }
    sys::write_all(write_end.get(), text);
    ::_exit(0);
  }
  write_end.reset();
  const test::Awaiting awaiting("the end of a child process, and of what it started");
  const std::string text = sys::read_all(read_end.get(), 16u << 20);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  return text;
}

std::string as_user(bool subids, const std::function<std::string()>& body, const std::string& nsswitch) {
  return in_child([&]() -> std::string {
    if (::unshare(CLONE_NEWNS) != 0) throw_errno(errno, "unshare");
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw_errno(errno, "mount");
    {
      TempDir dir = TempDir::in_tmp("subids");
      sys::write_file_at(dir.fd(), "ranges", subids ? "nobody:100000:65536\n" : "# none\n");
      for (const char* file : {"/etc/subuid", "/etc/subgid"})
        if (::mount(cat(dir.path(), "/ranges").c_str(), file, nullptr, MS_BIND, nullptr) != 0) throw_errno(errno, file);
      sys::write_file_at(dir.fd(), "nsswitch", nsswitch);
      if (!nsswitch.empty() &&
          ::mount(cat(dir.path(), "/nsswitch").c_str(), "/etc/nsswitch.conf", nullptr, MS_BIND, nullptr) != 0)
        throw_errno(errno, "/etc/nsswitch.conf");
    }
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0)
      throw_errno(errno, "become nobody");
    ::prctl(PR_SET_DUMPABLE, 1);  // as after an exec
    use_reachable_tmp();
    return body();
  });
}

int count_processes(const std::string& marker) {
  int count = 0;
  const UniqueFd proc = sys::open_at(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY);
  for (const std::string& name : sys::list_dir(proc.get())) {
    if (!parse_int(name) || name == std::to_string(::getpid())) continue;
    try {
      count += sys::read_file_at(proc.get(), cat(name, "/cmdline"), 1u << 20).find(marker) != std::string::npos ? 1 : 0;
    } catch (const Error&) {
      // Gone meanwhile.
    }
  }
  return count;
}

bool all_gone(const std::string& marker) {
  for (int i = 0; i < 500; ++i) {
    if (count_processes(marker) == 0) return true;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

}  // namespace cbuild::sandbox::testing
