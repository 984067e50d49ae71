// SPDX-License-Identifier: Apache-2.0
// Ids of others can be mapped into a new user namespace only by a process that stays outside of it: newuidmap
// and newgidmap, which are setuid and look into /etc/subuid and /etc/subgid. So a helper is forked first; it
// waits until the namespace exists.
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/process/name_services.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/ids/subid.h"
#include "sandbox/runner.h"

namespace cbuild::sandbox {
namespace {

std::string read_if_there(const std::string& path) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  return fd ? sys::read_all(fd->get(), 16u << 20) : std::string();
}

std::string own_name(uid_t uid) {
  for (const std::string& line : split(read_if_there("/etc/passwd"), '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() > 2 && parse_int(fields[2]) == static_cast<std::int64_t>(uid)) return fields[0];
  }
  use_builtin_name_services();
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer;
  return ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr ? found->pw_name : "";
}

bool sysctl_is(const char* name, std::string_view value) {
  return trim(read_if_there(cat("/proc/sys/", name))) == value;
}

}  // namespace

std::string user_namespace_advice(int error) {
  if (sysctl_is("kernel/unprivileged_userns_clone", "0"))
    return "user namespaces are switched off: sysctl kernel.unprivileged_userns_clone=1";
  if (error == ENOSPC || sysctl_is("user/max_user_namespaces", "0"))
    return "the limit of user namespaces is reached: raise sysctl user.max_user_namespaces";
  if (sysctl_is("kernel/apparmor_restrict_unprivileged_userns", "1"))
    return "AppArmor keeps user namespaces from mounting: sysctl "
           "kernel.apparmor_restrict_unprivileged_userns=0, or a profile "
           "with 'userns,' for this program";
  if (error == ENOSYS || error == EINVAL) return "this kernel has no user namespaces";
  return "run as root; in a container, allow user namespaces (docker: --security-opt seccomp=unconfined)";
}

namespace {

[[noreturn]] void refuse(int error, const std::string& what) {
  throw Error(ErrorCode::unsupported, cat("cannot make a user namespace: ", what, ": ", std::strerror(error)))
      .with_errno(error)
      .with_hint(user_namespace_advice(error));
}

/// Ranges from where nsswitch.conf says, asked by shadow's own program: its libraries, and the modules that it loads,
/// are not for this process, and newuidmap asks the same. nullopt where the files are to be read.
std::optional<std::vector<IdRange>> ranges_elsewhere(const std::string& name, uid_t uid, bool groups) {
  constexpr std::chrono::seconds kTimeout{30};
  constexpr std::size_t kMaxOutput = 1u << 20;
  if (!has_subid_source(read_if_there("/etc/nsswitch.conf"))) return std::nullopt;
  std::vector<std::string> argv = {"getsubids"};
  if (groups) argv.emplace_back("-g");
  argv.push_back(name.empty() ? std::to_string(uid) : name);
  try {
    const CommandResult result = run_command(argv, {}, kTimeout, kMaxOutput);
    return result.exit_code == 0 ? parse_getsubids(result.out) : std::vector<IdRange>();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return std::nullopt;
  }
}

std::vector<IdRange> ranges_of(const std::string& name, uid_t uid, bool groups) {
  if (auto ranges = ranges_elsewhere(name, uid, groups)) return std::move(*ranges);
  return parse_subids(read_if_there(groups ? "/etc/subgid" : "/etc/subuid"), name, uid);
}

struct Maps {
  std::vector<IdMapping> uids, gids;
  bool direct = false;  ///< the helper may write them itself
};

Maps wanted_maps(uid_t uid, gid_t gid) {
  if (uid == 0)
    return {identity_map(read_if_there("/proc/self/uid_map")), identity_map(read_if_there("/proc/self/gid_map")), true};
  const std::string name = own_name(uid);
  const auto uids = ranges_of(name, uid, false), gids = ranges_of(name, uid, true);
  if (uids.empty() || gids.empty()) return {};
  return {map_ids(uid, uids), map_ids(gid, gids), false};
}

/// True if the file took the whole map, which is written in one call.
bool write_map(const std::string& path, const std::string& text) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_WRONLY);
  return fd && ::write(fd->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::vector<std::string> map_command(const char* program, pid_t target, std::span<const IdMapping> mappings) {
  std::vector<std::string> argv = {program, std::to_string(target)};
  for (const IdMapping& m : mappings)
    for (const std::uint32_t number : {m.inside, m.outside, m.count}) argv.push_back(std::to_string(number));
  return argv;
}

/// Maps the ids of `target` from outside. Both programs run at the same time: each takes milliseconds.
bool map_from_outside(pid_t target, const Maps& maps) {
  if (maps.direct)
    return write_map(cat("/proc/", target, "/uid_map"), map_text(maps.uids)) &&
           write_map(cat("/proc/", target, "/gid_map"), map_text(maps.gids));
  Child uids = Child::spawn({map_command("newuidmap", target, maps.uids), {}, {}});
  Child gids = Child::spawn({map_command("newgidmap", target, maps.gids), {}, {}});
  const int uid_code = uids.wait();
  return gids.wait() == 0 && uid_code == 0;
}

/// The process that stays outside.
class Helper {
 public:
  explicit Helper(const Maps& maps) {
    if (maps.uids.empty() || maps.gids.empty()) return;
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw_errno(errno, "socketpair");
    channel_ = UniqueFd(fds[0]);
    UniqueFd theirs(fds[1]);
    const pid_t target = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw_errno(errno, "fork");
    if (pid_ == 0) serve(std::move(theirs), target, maps);
  }
  ~Helper() {
    channel_.reset();
    while (pid_ > 0 && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  /// Called in the new namespace; false if only the own id can be mapped.
  bool map() {
    char byte = 'g';
    if (pid_ <= 0 || ::write(channel_.get(), &byte, 1) != 1) return false;
    return ::read(channel_.get(), &byte, 1) == 1 && byte == 'y';
  }

 private:
  [[noreturn]] void serve(UniqueFd channel, pid_t target, const Maps& maps) {
    channel_.reset();
    char byte = 0;
    if (::read(channel.get(), &byte, 1) != 1) ::_exit(0);
    try {
      byte = map_from_outside(target, maps) ? 'y' : 'n';
    } catch (...) {
      byte = 'n';  // no newuidmap on this machine
    }
    const ssize_t wrote = ::write(channel.get(), &byte, 1);
    ::_exit(wrote == 1 ? 0 : 1);
  }

  UniqueFd channel_;
  pid_t pid_ = -1;
};

void map_own_id(uid_t uid, gid_t gid) {
  write_map("/proc/self/setgroups", "deny");
  // Either may be there already, if the helper got half way.
  const bool uids =
      write_map("/proc/self/uid_map", cat("0 ", uid, " 1\n")) || !trim(read_if_there("/proc/self/uid_map")).empty();
  const bool gids =
      write_map("/proc/self/gid_map", cat("0 ", gid, " 1\n")) || !trim(read_if_there("/proc/self/gid_map")).empty();
  if (!uids || !gids) refuse(EPERM, "write uid_map");
}

std::uint64_t total(std::span<const IdMapping> mappings) {
  std::uint64_t sum = 0;
  for (const IdMapping& m : mappings) sum += m.count;
  return sum;
}

}  // namespace

std::string enter_user_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const Maps maps = wanted_maps(uid, gid);
  Helper helper(maps);
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) refuse(errno, "unshare");
  const bool mapped = helper.map();
  if (!mapped) map_own_id(uid, gid);
  // Mounts of the machine still arrive here, none of ours go there.
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) refuse(errno, "change mount propagation");
  if (!mapped)
    return cat("user namespace with the single id ", uid,
               " (no ranges in /etc/subuid and /etc/subgid, or no newuidmap)");
  return cat("user namespace with ", total(maps.uids), " uids and ", total(maps.gids), " gids");
}

}  // namespace cbuild::sandbox
