// SPDX-License-Identifier: Apache-2.0
// Writes what a process finds around it into the file that is its argument, one property a line, "NAME\tVALUE". It is
// linked statically and run as the command of a step and as that of a container of runc, without knowing which.
#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

extern char** environ;

namespace {

std::ostringstream told;

void tell(const std::string& name, const std::string& value) { told << name << '\t' << value << '\n'; }

std::string error_name() { return strerrorname_np(errno) != nullptr ? strerrorname_np(errno) : std::to_string(errno); }

std::string link_of(const std::string& path) {
  char target[4096];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length < 0 ? error_name() : std::string(target, static_cast<std::size_t>(length));
}

std::vector<std::string> entries_of(const std::string& path) {
  std::vector<std::string> names;
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return {error_name()};
  while (const dirent* entry = readdir(directory))
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

std::string kind_of(const struct stat& info) {
  const char* kind = S_ISDIR(info.st_mode)   ? "directory"
                     : S_ISCHR(info.st_mode) ? "char"
                     : S_ISBLK(info.st_mode) ? "block"
                     : S_ISLNK(info.st_mode) ? "link"
                     : S_ISREG(info.st_mode) ? "file"
                                             : "other";
  std::ostringstream out;
  out << kind << " " << std::oct << (info.st_mode & 07777) << std::dec << " " << info.st_uid << ":" << info.st_gid;
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) out << " " << major(info.st_rdev) << ":" << minor(info.st_rdev);
  return out.str();
}

void namespaces() {
  for (const std::string& name : entries_of("/proc/self/ns"))
    tell("namespace " + name, link_of("/proc/self/ns/" + name));
}

/// The last mount at a place is the one that is seen.
void mounts() {
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream left(line.substr(0, line.find(" - "))), right(line.substr(line.find(" - ") + 3));
    std::string skip, root, point, options, type, source, super;
    left >> skip >> skip >> skip >> root >> point >> options;
    right >> type >> source >> super;
    tell("mount " + point, type);
    tell("mount options " + point, options);
    if (type != "overlay") tell("mount super options " + point, super);
  }
}

void status() {
  std::ifstream text("/proc/self/status");
  for (std::string line; std::getline(text, line);) {
    const std::string name = line.substr(0, line.find(':'));
    const std::size_t value = std::min(line.find_first_not_of(" \t", name.size() + 1), line.size());
    for (const char* wanted :
         {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "SigBlk",
          "SigIgn", "SigCgt", "Uid", "Gid", "Groups", "Umask", "NSpid", "NSsid", "PPid"})
      if (name == wanted) tell("status " + name, line.substr(value));
  }
}

void limits() {
  static constexpr const char* kNames[] = {"cpu",      "fsize",  "data",    "stack", "core",  "rss",
                                           "nproc",    "nofile", "memlock", "as",    "locks", "sigpending",
                                           "msgqueue", "nice",   "rtprio",  "rttime"};
  for (int i = 0; i < 16; ++i) {
    rlimit limit{};
    if (getrlimit(static_cast<__rlimit_resource>(i), &limit) == 0)
      tell(std::string("limit ") + kNames[i], std::to_string(limit.rlim_cur) + ":" + std::to_string(limit.rlim_max));
  }
}

void file_text(const std::string& name, const std::string& path) {
  std::ifstream file(path);
  std::string all;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word;) all += (all.empty() ? "" : " ") + word;
    all += ";";
  }
  tell(name, all);
}

void identity() {
  for (const char* map : {"uid_map", "gid_map", "setgroups", "oom_score_adj", "cgroup", "loginuid", "timerslack_ns"})
    file_text(std::string("own ") + map, std::string("/proc/self/") + map);
  utsname name{};
  uname(&name);
  tell("own hostname", name.nodename);
  tell("own directory", link_of("/proc/self/cwd"));
  tell("own root", link_of("/proc/self/root"));
  tell("own session", getsid(0) == getpid() ? "leader" : "member");
  tell("own group", getpgid(0) == getpid() ? "leader" : "member");
  tell("own pid", std::to_string(getpid()));
  tell("own securebits", std::to_string(prctl(PR_GET_SECUREBITS)));
  tell("own dumpable", std::to_string(prctl(PR_GET_DUMPABLE)));
  tell("own personality", std::to_string(syscall(SYS_personality, 0xffffffff)));
  tell("own nice", std::to_string(getpriority(PRIO_PROCESS, 0)));
  const long keyring = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  tell("own keyring", keyring < 0 ? error_name() : "there");
}

void descriptors() {
  for (const std::string& name : entries_of("/proc/self/fd")) {
    std::string target = link_of("/proc/self/fd/" + name);
    if (target.find("/proc/") == 0 && target.find("/fd") != std::string::npos) continue;  // the listing itself
    if (target.rfind("pipe:", 0) == 0) target = "pipe";
    const int flags = fcntl(std::stoi(name), F_GETFL);
    tell("descriptor " + name, target + (flags < 0 ? "" : (flags & O_ACCMODE) == O_RDONLY ? " read" : " write"));
  }
}

void environment() {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    tell("variable " + text.substr(0, text.find('=')), text.substr(text.find('=') + 1));
  }
}

void signals() {
  for (int i = 1; i < NSIG; ++i) {
    struct sigaction action {};
    if (sigaction(i, nullptr, &action) == 0 && action.sa_handler != SIG_DFL)
      tell("signal " + std::to_string(i), action.sa_handler == SIG_IGN ? "ignored" : "caught");
  }
}

std::string try_open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return error_name();
  close(fd);
  return "ok";
}

void devices() {
  for (const std::string& name : entries_of("/dev")) {
    struct stat info {};
    lstat(("/dev/" + name).c_str(), &info);
    tell("device " + name, S_ISLNK(info.st_mode) ? "-> " + link_of("/dev/" + name) : kind_of(info));
    if (S_ISCHR(info.st_mode)) tell("device open " + name, try_open("/dev/" + name, O_RDWR));
  }
  struct Node {
    mode_t type;
    unsigned major, minor;
  };
  for (const Node& node : {Node{S_IFCHR, 1, 1},
                           {S_IFCHR, 1, 3},
                           {S_IFCHR, 1, 11},
                           {S_IFCHR, 10, 200},
                           {S_IFCHR, 10, 229},
                           {S_IFBLK, 8, 0},
                           {S_IFBLK, 7, 0},
                           {S_IFBLK, 254, 0}}) {
    const std::string name = "/probe-node", number = std::to_string(node.major) + ":" + std::to_string(node.minor);
    const int made = mknod(name.c_str(), node.type | 0600, makedev(node.major, node.minor));
    tell("device make " + number, made == 0 ? "ok" : error_name());
    if (made == 0) tell("device open made " + number, try_open(name, O_RDONLY));
    unlink(name.c_str());
  }
}

void masks() {
  for (const char* path : {"/proc/acpi",
                           "/proc/asound",
                           "/proc/interrupts",
                           "/proc/kcore",
                           "/proc/keys",
                           "/proc/latency_stats",
                           "/proc/sched_debug",
                           "/proc/scsi",
                           "/proc/timer_list",
                           "/proc/timer_stats",
                           "/proc/bus",
                           "/proc/fs",
                           "/proc/irq",
                           "/proc/sys",
                           "/proc/sysrq-trigger",
                           "/proc/sys/kernel/domainname",
                           "/proc/self/attr",
                           "/sys/firmware",
                           "/sys/devices/virtual/powercap",
                           "/sys/kernel/debug",
                           "/sys/kernel/security",
                           "/sys/fs/cgroup",
                           "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                           "/sys/kernel/mm/transparent_hugepage/enabled",
                           "/etc/resolv.conf",
                           "/etc/hosts"}) {
    struct stat info {};
    const bool there = lstat(path, &info) == 0;
    std::string value = there ? kind_of(info) : error_name();
    if (there && S_ISDIR(info.st_mode)) value += entries_of(path).empty() ? " empty" : " filled";
    tell(std::string("path ") + path, value);
    if (there && !S_ISDIR(info.st_mode)) tell(std::string("path write ") + path, try_open(path, O_WRONLY));
  }
  tell("path make /proc/sys", mkdir("/proc/sys/x", 0755) == 0 ? "ok" : error_name());
  tell("path make /sys/fs/cgroup", mkdir("/sys/fs/cgroup/x", 0755) == 0 ? "ok" : error_name());
}

void on_alarm(int) {}

/// The answer to one call with arguments that make no sense, from a child that may die of it. A timer that repeats ends
/// a call that waits.
std::string answer_of(long number, const unsigned long* arguments) {
  int channel[2];
  if (pipe(channel) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    close(channel[0]);
    struct sigaction action {};
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 50'000}, {0, 50'000}};
    setitimer(ITIMER_REAL, &often, nullptr);
    const long result =
        syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    const int error = result < 0 ? errno : 0;
    const bool told = write(channel[1], &error, sizeof error) == sizeof error;
    _exit(told ? 0 : 1);
  }
  close(channel[1]);
  int error = 0;
  const bool answered = read(channel[0], &error, sizeof error) == sizeof error;
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (answered) {
    errno = error;
    return error == 0 ? "ok" : error_name();
  }
  return WIFSIGNALED(status) ? std::string("killed by ") + strsignal(WTERMSIG(status)) : "ended";
}

void system_calls() {
  constexpr long kLast = 475;
  // They would start a second prober, go back to a frame that is not there, or write back all of the machine's disks.
  const std::vector<long> skipped = {SYS_fork, SYS_vfork, SYS_rt_sigreturn, SYS_sync};
  constexpr unsigned long kNonsense = ~0UL;
  for (long number = 0; number < kLast; ++number) {
    if (std::find(skipped.begin(), skipped.end(), number) != skipped.end()) continue;
    const unsigned long arguments[6] = {kNonsense, kNonsense, kNonsense, kNonsense, kNonsense, kNonsense};
    tell("call " + std::to_string(number), answer_of(number, arguments));
  }
  const auto with = [](const std::string& name, long number, std::vector<unsigned long> given) {
    given.resize(6);
    tell("call " + name, answer_of(number, given.data()));
  };
  for (const unsigned long family : {1UL, 2UL, 10UL, 16UL, 17UL, 38UL, 39UL, 40UL, 44UL, 0x100000028UL})
    with("socket " + std::to_string(family), SYS_socket, {family, 3 /* SOCK_RAW */});
  for (const unsigned long domain : {0UL, 8UL, 0x20000UL, 0x20008UL, 0xffffffffUL, 0x40000UL, 4UL})
    with("personality " + std::to_string(domain), SYS_personality, {domain});
  for (int bit = 7; bit < 32; ++bit) {
    // A new thread would need a stack, and a process that shares the memory would run on ours.
    const unsigned long flag = 1UL << bit;
    if ((flag & 0x7e020000UL) != 0) with("clone " + std::to_string(flag), SYS_clone, {flag | SIGCHLD, 0, 0, 0, 0});
  }
  with("unshare user", SYS_unshare, {0x10000000UL});
  with("unshare files", SYS_unshare, {0x400UL});
  with("keyctl", SYS_keyctl, {0, ~0UL});
}

}  // namespace

int main(int count, char** arguments) {
  namespaces();
  mounts();
  status();
  limits();
  identity();
  descriptors();
  environment();
  signals();
  devices();
  masks();
  system_calls();
  if (count != 2) return 2;
  std::ofstream result(arguments[1]);
  result << told.str();
  result.close();
  return result ? 0 : 1;
}
