// SPDX-License-Identifier: Apache-2.0
// The isolation of a step, and the rights that insecure ones have.
#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::testing;

namespace {

/// The value of a line of /proc/self/status.
std::string status_field(const std::string& status, const std::string& name) {
  for (const std::string& line : split(status, '\n'))
    if (line.rfind(name + ":", 0) == 0) return std::string(trim(std::string_view(line).substr(name.size() + 1)));
  return "missing";
}

/// The control group `name` of each hierarchy, where it is there.
std::vector<std::string> cgroups_named(const std::string& name) {
  const UniqueFd top = sys::open_at(AT_FDCWD, "/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
  std::vector<std::string> places = {"/sys/fs/cgroup"}, found;
  for (const std::string& hierarchy : sys::list_dir(top.get())) places.push_back(cat("/sys/fs/cgroup/", hierarchy));
  for (const std::string& place : places)
    if (sys::try_stat_at(AT_FDCWD, cat(place, "/", name))) found.push_back(cat(place, "/", name));
  return found;
}

/// The same, whether it is there or could be made.
std::vector<std::string> cgroups_in_all(const std::string& name) {
  std::vector<std::string> out;
  for (const std::string& procs : cgroups_named("cgroup.procs")) out.push_back(cat(dir_name(procs), "/", name));
  return out;
}

/// A name that no other run has.
std::string own_name(std::string_view what) { return cat("sandbox-", what, "-", ::getpid()); }

void remove_tree_of_groups(const std::string& group) {
  const auto directory = sys::try_open_at(AT_FDCWD, group, O_RDONLY | O_DIRECTORY);
  if (!directory) return;
  for (const std::string& name : sys::list_dir(directory->get())) remove_tree_of_groups(cat(group, "/", name));
  ::rmdir(group.c_str());
}

/// Groups that a test has made itself, which builds leave alone, with the leftovers of a faulty build in them.
void remove_cgroups(const std::string& name) {
  for (const std::string& group : cgroups_named(name)) remove_tree_of_groups(group);
}

bool has_members(const std::string& group) {
  const auto directory = sys::try_open_at(AT_FDCWD, group, O_RDONLY | O_DIRECTORY);
  if (!directory) return false;
  if (!sys::read_file_at(directory->get(), "cgroup.procs", 1u << 20).empty()) return true;
  for (const std::string& name : sys::list_dir(directory->get()))
    if (has_members(cat(group, "/", name))) return true;
  return false;
}

/// A process that is ending has no command line any more, but is a member yet: a build leaves its group to the next.
bool all_left(const std::vector<std::string>& groups) {
  for (int i = 0; i < 500; ++i) {
    if (std::none_of(groups.begin(), groups.end(), has_members)) return true;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

/// Control groups below which this process and its children live, so that other builds of this machine are not seen.
class OwnCgroups {
 public:
  OwnCgroups() {
    for (const char* hierarchy : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/devices"}) {
      if (!sys::try_stat_at(AT_FDCWD, cat(hierarchy, "/cgroup.procs"))) continue;
      directories_.push_back(cat(hierarchy, "/sandbox-test-", ::getpid()));
      sys::mkdir_at(AT_FDCWD, directories_.back(), 0755);
      enter(directories_.back());
    }
  }

  /// The groups that are there now.
  std::vector<std::string> below() const {
    std::vector<std::string> out;
    for (const std::string& directory : directories_)
      for (const std::string& name : sys::list_dir(sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY).get()))
        if (S_ISDIR(sys::stat_at(AT_FDCWD, cat(directory, "/", name)).st_mode))
          out.push_back(cat(directory, "/", name));
    return out;
  }

  /// Removes them; returns the failures as text.
  std::string leave() {
    std::string report;
    for (const std::string& directory : directories_) {
      enter(cat(directory, "/.."));
      if (::rmdir(directory.c_str()) != 0) report += cat("cannot remove ", directory, "\n");
    }
    return report;
  }

 private:
  static void enter(const std::string& group) {
    sys::write_all(sys::open_at(AT_FDCWD, cat(group, "/cgroup.procs"), O_WRONLY).get(), "0");
  }
  std::vector<std::string> directories_;
};

/// Adds a key that only its possessors see to a session keyring of this process's own; false where the kernel has none.
bool join_keyring_with(const char* key) {
  constexpr unsigned kPossessorOnly = 0x3f000000;
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "sandbox-test") < 0) return false;
  const long id = ::syscall(SYS_add_key, "user", key, "secret", 6, KEY_SPEC_SESSION_KEYRING);
  return id >= 0 && ::syscall(SYS_keyctl, KEYCTL_SETPERM, id, kPossessorOnly) == 0;
}

wire::Configure with(wire::DeviceControl control) {
  wire::Configure configuration;
  configuration.device_control = control;
  return configuration;
}

}  // namespace

TEST_CASE("capabilities, filter and no_new_privs are those of BuildKit") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const std::string root = sandbox.run(image.exec({"cat", "/proc/self/status"})).out;
  CHECK(status_field(root, "CapInh") == "0000000000000000");
  CHECK(status_field(root, "CapPrm") == "00000000a80425fb");
  CHECK(status_field(root, "CapEff") == "00000000a80425fb");
  CHECK(status_field(root, "CapBnd") == "00000000a80425fb");
  CHECK(status_field(root, "CapAmb") == "0000000000000000");
  CHECK(status_field(root, "NoNewPrivs") == "0");
  CHECK(status_field(root, "Seccomp") == "2");
  CHECK(status_field(root, "SigBlk") == "0000000000000000");
  CHECK(status_field(root, "SigIgn") == "0000000000000000");

  Spec spec = image.exec({"cat", "/proc/self/status"});
  spec.uid = spec.gid = 1000;
  const std::string user = sandbox.run(spec).out;
  CHECK(status_field(user, "CapPrm") == "0000000000000000");
  CHECK(status_field(user, "CapBnd") == "00000000a80425fb");
  CHECK(status_field(user, "Groups") == "1000");
}

TEST_CASE("setuid programs work: no_new_privs stays off") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("suid");
  const UniqueFd busybox = sys::open_at(AT_FDCWD, "/bin/busybox", O_RDONLY);
  const UniqueFd copy = sys::open_at(image.layer(), "suid/busybox", O_WRONLY | O_CREAT, 0755);
  sys::copy_file_data(busybox.get(), copy.get(), static_cast<std::uint64_t>(sys::stat_fd(busybox.get()).st_size));
  ::fchmod(copy.get(), 04755);
  for (const char* program : {"/suid/busybox", "/bin/busybox"}) {
    Spec spec = image.exec({program, "ping", "-c", "1", "127.0.0.1"});  // wants a raw socket
    spec.uid = spec.gid = 1000;
    spec.network = NetworkMode::none;
    CHECK((sandbox.run(spec).exit.code == 0) == (program[1] == 's'));
  }
}

TEST_CASE("the filter refuses mounts, namespaces and more") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const Outcome outcome = sandbox.run(
      image.spec("mount -t tmpfs x /tmp; umount /proc; unshare -U true; unshare -m true; chroot / echo chroot"));
  CHECK(outcome.out == "chroot\n");
  CHECK(outcome.err ==
        "mount: permission denied (are you root?)\numount: can't unmount /proc: Operation not permitted\n"
        "unshare: unshare(0x10000000): Operation not permitted\nunshare: unshare(0x20000): Operation not "
        "permitted\n");
}

TEST_CASE("masked paths are empty, read-only ones cannot be written") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const Outcome outcome = sandbox.run(
      image.spec("for f in keys timer_list kcore; do test -e /proc/$f && head -c 1 /proc/$f | wc -c; done; ls "
                 "/sys/firmware | wc -l; "
                 "echo x > /proc/sys/kernel/hostname; touch /sys/firmware/x; touch /proc/keys; chmod 777 /proc/keys"));
  for (const std::string& line : split(trim(outcome.out), '\n')) CHECK(line == "0");
  CHECK(split(trim(outcome.err), '\n').size() == 4);
  for (const std::string& line : split(trim(outcome.err), '\n'))
    CHECK_MESSAGE(holds(line, "Read-only file system"), line);
  CHECK((sys::stat_at(AT_FDCWD, "/dev/null").st_mode & 0777) == 0666);
}

TEST_CASE("the builder's own program cannot be started inside a root (CVE-2019-5736)") {
  if (!can_run_as_root()) return;
  TestImage image;
  Sandbox sandbox;
  image.write("script", "#! /proc/self/exe --version\n", 0755);
  image.write("twice", "#!/script\n", 0755);
  image.link("link", "/proc/1/exe");
  for (const char* program : {"/proc/self/exe", "/proc/thread-self/exe", "/link", "/script", "/twice"}) {
    CAPTURE(program);
    const Outcome outcome = sandbox.run(image.exec({program, "--version"}));
    CHECK(outcome.exit.code == 126);
    CHECK(holds(outcome.out + outcome.err, cat("exec ", program, ": permission denied")));
  }
  image.write("shell", "#!/bin/sh\nreadlink /proc/self/exe\n", 0755);
  CHECK(sandbox.run(image.exec({"/shell"})).out == "/bin/busybox\n");
}

TEST_CASE("process ids, host name and System V memory are the step's own") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec =
      image.spec("hostname; ls -d /proc/[0-9]* | wc -l; for n in ipc uts pid net; do readlink /proc/self/ns/$n; done");
  spec.hostname = "some-name";
  const auto lines = split(sandbox.run(spec).out, '\n');
  REQUIRE(lines.size() >= 6);
  CHECK(lines[0] == "some-name");
  CHECK(parse_int(lines[1]).value_or(99) <= 4);
  CHECK(lines[2] != sys::readlink_at(AT_FDCWD, "/proc/self/ns/ipc"));
  CHECK(lines[3] != sys::readlink_at(AT_FDCWD, "/proc/self/ns/uts"));
  CHECK(lines[4] != sys::readlink_at(AT_FDCWD, "/proc/self/ns/pid"));
  CHECK(lines[5] == sys::readlink_at(AT_FDCWD, "/proc/self/ns/net"));
}

TEST_CASE("without network there is lo, and it is up") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.spec("ls /sys/class/net; ip -4 -o addr show; ip link show lo");
  spec.network = NetworkMode::none;
  const Outcome outcome = sandbox.run(spec);
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(holds(outcome.out, "lo\n1: lo    inet 127.0.0.1/8"));
  CHECK(holds(outcome.out, "LOOPBACK,UP"));
}

TEST_CASE("disks cannot be opened, however devices are controlled; nodes can be made") {
  if (!can_run_as_root()) return;
  for (const auto control :
       {wire::DeviceControl::automatic, wire::DeviceControl::cgroup_v1, wire::DeviceControl::none}) {
    CAPTURE(static_cast<int>(control));
    Sandbox sandbox(with(control));
    TestImage image;
    Spec spec = image.spec(
        "mknod /kmsg c 1 11; mknod /tmp/kmsg c 1 11; mknod /dev/kmsg c 1 11; mknod /mine/kmsg c 1 11; mknod "
        "/disk b 254 0;"
        "for f in /kmsg /tmp/kmsg /dev/kmsg /mine/kmsg /disk; do head -c 1 $f && echo opened; done;"
        "echo x > /dev/null && head -c 1 /dev/zero | wc -c; chmod 600 /dev/null; chown 5 /dev/zero; touch "
        "/dev/random; exit 0");
    image.make_directory("mine");
    spec.mounts.push_back({"/mine", TmpfsSource{}});
    const Outcome outcome = sandbox.run(spec);
    REQUIRE(outcome.exit.setup_error == "");
    CHECK(outcome.out == "1\n");
    CHECK_FALSE(holds(outcome.err, "mknod"));
    CHECK((sys::stat_at(AT_FDCWD, "/dev/null").st_mode & 0777) == 0666);
    CHECK(sys::stat_at(AT_FDCWD, "/dev/zero").st_uid == 0);
    const auto upper = image.upper();
    CHECK(std::find(upper.begin(), upper.end(), "disk block 254:0") != upper.end());
  }
}

TEST_CASE("devices that a step was given can be opened, others still not") {
  if (!can_run_as_root()) return;
  for (const auto control :
       {wire::DeviceControl::automatic, wire::DeviceControl::cgroup_v1, wire::DeviceControl::none}) {
    CAPTURE(static_cast<int>(control));
    Sandbox sandbox(with(control));
    TestImage image;
    Spec spec = image.spec(
        "test -c /dev/net/tun && : < /dev/net/tun && echo tun; mknod /tmp/kmsg c 1 11; : < /tmp/kmsg && echo "
        "kmsg");
    spec.devices.push_back({"/dev/net/tun", 'c', 10, 200, 0666});
    const Outcome outcome = sandbox.run(spec);
    REQUIRE(outcome.exit.setup_error == "");
    // Opening the node reaches the driver, whether this kernel has one (ENODEV) or not.
    CHECK((outcome.out == "tun\n" || holds(outcome.err, "No such device")));
    CHECK_FALSE(holds(outcome.out, "kmsg"));
    CHECK(sandbox.run(image.spec("mknod /tmp/tun c 10 200; : < /tmp/tun && echo tun")).out == "");
  }
}

TEST_CASE("an insecure step has everything the builder has") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const std::string mine = sys::read_file_at(AT_FDCWD, "/proc/self/status", 1u << 16);
  Spec spec = image.spec(
      "cat /proc/self/status; mount -t tmpfs x /tmp && echo mounted; head -c 1 /dev/kmsg > /dev/null && echo "
      "kmsg; "
      "test -b /dev/loop7 && echo loop; test -w /sys/kernel && touch /proc/sys/kernel/hostname && echo "
      "writable");
  spec.insecure = true;
  const Outcome outcome = sandbox.run(spec);
  REQUIRE(outcome.exit.setup_error == "");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
    CHECK(status_field(outcome.out, set) == status_field(mine, "CapPrm"));
  CHECK(status_field(outcome.out, "Seccomp") == "0");
  for (const char* word : {"mounted\n", "kmsg\n", "loop\n", "writable\n"})
    CHECK_MESSAGE(holds(outcome.out, word), outcome.err);
  spec = image.exec({"cat", "/proc/self/status"});
  spec.insecure = true;
  spec.uid = spec.gid = 1000;
  CHECK(status_field(sandbox.run(spec).out, "CapEff") == status_field(mine, "CapPrm"));
}

TEST_CASE("resource limits: given ones are set, impossible ones warn, the rest is the caller's") {
  if (!can_run_as_root()) return;
  rlimit open_files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &open_files) == 0);
  Sandbox sandbox;
  TestImage image;
  CHECK(sandbox.run(image.spec("ulimit -n")).out == cat(open_files.rlim_cur, "\n"));
  Spec spec = image.spec("ulimit -n; ulimit -Hn; ulimit -c; ulimit -s");
  spec.ulimits = {{"nofile", 64, 128}, {"core", 0, 0}, {"stack", -1, -1}};
  CHECK(sandbox.run(spec).out == "64\n128\n0\nunlimited\n");
  spec = image.spec("ulimit -n");
  spec.ulimits = {{"nofile", 1, 2'000'000'000}};
  const Outcome above = sandbox.run(spec);
  CHECK(above.exit.code == 0);
  CHECK(above.err ==
        "warning: ulimit nofile=1:2000000000 is above what this process may set; the limit of the builder "
        "stays\n");
}

TEST_CASE("steps leave no cgroup and no mount behind") {
  if (!can_run_as_root()) return;
  // In cgroups and a mount namespace of its own, because other builds of this machine come and go.
  const std::string result = in_child([]() -> std::string {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return "no mount namespace";
    OwnCgroups own;
    const std::string mounts = sys::read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1u << 22);
    std::string report;
    for (const auto control : {wire::DeviceControl::automatic, wire::DeviceControl::cgroup_v1}) {
      Sandbox sandbox(with(control));
      TestImage image;
      for (const std::string& parent : {std::string(), own_name("parent"), own_name("parent") + "/deep/er"}) {
        Spec spec = image.spec("true");
        spec.cgroup_parent = parent;
        const Exit exit = sandbox.run(spec).exit;
        if (exit.code != 0) report += cat("code ", exit.code, " ", exit.setup_error, "\n");
      }
    }
    for (const std::string& left : own.below()) report += cat("left ", left, "\n");
    report += own.leave();
    if (sys::read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1u << 22) != mounts) report += "mounts changed\n";
    return report;
  });
  CHECK(result == "");
}

TEST_CASE("the next build removes the cgroups of one that was killed, not those of one that runs") {
  if (!can_run_as_root()) return;
  const std::string mark = own_name("killed");
  const std::string result = in_child([&]() -> std::string {
    OwnCgroups own;
    std::string report;
    {
      TestImage first, second, third;
      Sandbox killed;
      Running step(killed.runner(), first.exec({"/bin/sh", "-c", "echo up; sleep 1000; :", mark}));
      step.wait_for("up");
      const std::vector<std::string> of_killed = own.below();
      ::kill(killed.zygote().impl().pid, SIGKILL);
      step.wait();
      if (!all_gone(mark) || !all_left(of_killed)) report += "the step lives\n";
      if (of_killed.empty() || own.below() != of_killed) report += "the killed one left nothing\n";
      Sandbox alive;
      Running other(alive.runner(), second.spec("echo up; sleep 1000"));
      other.wait_for("up");
      const std::vector<std::string> of_alive = own.below();
      for (const std::string& group : of_killed)
        if (std::find(of_alive.begin(), of_alive.end(), group) != of_alive.end()) report += cat("left ", group, "\n");
      Sandbox last;
      last.run(third.spec("true"));
      const std::vector<std::string> both = own.below();
      for (const std::string& group : of_alive)
        if (std::find(both.begin(), both.end(), group) == both.end()) report += cat("took ", group, "\n");
      other.step().stop(std::chrono::milliseconds(0));
      other.wait();
    }
    for (const std::string& group : own.below()) report += cat("left at the end ", group, "\n");
    return report + own.leave();
  });
  CHECK(result == "");
}

TEST_CASE("the next build removes the groups of single steps, too, wherever a killed build had them") {
  if (!can_run_as_root()) return;
  const std::string mark = own_name("stray"), kept = own_name("kept"), made = own_name("made");
  const std::string result = in_child([&]() -> std::string {
    OwnCgroups own;
    std::string report;
    const ScopeExit clean([&] {
      remove_cgroups(kept);
      remove_cgroups(made);
    });
    for (const std::string& group : cgroups_in_all(kept)) ::mkdir(group.c_str(), 0755);
    {
      TestImage first, second, third;
      Sandbox killed;
      Spec below = first.exec({"/bin/sh", "-c", "echo up; sleep 1000; :", mark});
      below.cgroup_parent = cat(made, "/deep");
      Running one(killed.runner(), below);
      one.wait_for("up");
      Spec other = second.exec({"/bin/sh", "-c", "echo up; sleep 1000; :", mark});
      other.cgroup_parent = kept;
      Running two(killed.runner(), other);
      two.wait_for("up");
      ::kill(killed.zygote().impl().pid, SIGKILL);
      one.wait();
      two.wait();
      if (!all_gone(mark)) report += "a step lives\n";
      for (const std::vector<std::string>& groups : {cgroups_named(made), cgroups_named(kept), own.below()})
        if (!all_left(groups)) report += "a step is a member yet\n";
      if (cgroups_named(made + "/deep").empty()) report += "the killed one left nothing\n";
      Sandbox next;
      next.run(third.spec("true"));
    }
    for (const std::string& group : cgroups_named(made)) report += cat("left ", group, "\n");
    for (const std::string& group : cgroups_named(kept))
      if (::rmdir(group.c_str()) != 0) report += cat("left in ", group, "\n");
    for (const std::string& group : own.below()) report += cat("left ", group, "\n");
    return report + own.leave();
  });
  CHECK(result == "");
}

TEST_CASE("where no inode is left a step does not run on a read-only root") {
  if (!can_run_as_root()) return;
  const std::string result = in_child([]() -> std::string {
    const TempDir dir = TempDir::in_tmp("sandbox-full-");
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("full", dir.path().c_str(), "tmpfs", 0, "nr_inodes=20") != 0)
      return "no tmpfs of its own";
    const UniqueFd disk = sys::open_at(AT_FDCWD, dir.path(), O_RDONLY | O_DIRECTORY);
    for (const char* name : {"upper", "work"}) sys::mkdir_at(disk.get(), name, 0755);
    for (int i = 0; ::mkdirat(disk.get(), std::to_string(i).c_str(), 0755) == 0; ++i) {
    }
    const UniqueFd upper = sys::open_at(disk.get(), "upper", O_RDONLY | O_DIRECTORY);
    const UniqueFd work = sys::open_at(disk.get(), "work", O_RDONLY | O_DIRECTORY);
    TestImage image;
    Spec spec = image.spec("true");
    spec.upper_fd = upper.get();
    spec.work_fd = work.get();
    Sandbox sandbox;
    return sandbox.run(spec).exit.setup_error;
  });
  CHECK_MESSAGE(holds(result, "No space left on device"), result);
}

TEST_CASE("a cgroup parent that was missing goes with the last step below it, one that was there stays") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage first, second;
  const std::string name = own_name("parent");
  Spec waits = first.spec("echo up; sleep 600");
  waits.cgroup_parent = cat(name, "/a/b");
  Running step(sandbox.runner(), waits);
  step.wait_for("up");
  const std::vector<std::string> made = cgroups_named(name);
  REQUIRE_FALSE(made.empty());
  const auto run_below = [&](const std::string& parent) {
    Spec spec = second.spec("exit 7");
    spec.cgroup_parent = parent;
    const Exit exit = sandbox.run(spec).exit;
    CHECK_MESSAGE(exit.code == 7, exit.setup_error);
  };
  for (const char* below : {"/a/b", "/a", "/c/d", ""}) {
    run_below(name + below);
    CHECK(cgroups_named(name) == made);
    CHECK(cgroups_named(name + "/c").empty());
  }
  step.step().stop(std::chrono::milliseconds(0));
  step.wait();
  CHECK(cgroups_named(name).empty());

  for (const std::string& group : made) REQUIRE(::mkdir(group.c_str(), 0755) == 0);
  run_below(name + "/a");
  CHECK(cgroups_named(name) == made);
  CHECK(cgroups_named(name + "/a").empty());
  remove_cgroups(name);
}

TEST_CASE("a step has no part in the session keyring of whoever builds") {
  if (!can_run_as_root()) return;
  const std::string seen = in_child([]() -> std::string {
    if (!join_keyring_with("sandbox-test-key")) return "no keyrings";
    std::string report;
    if (!holds(sys::read_file_at(AT_FDCWD, "/proc/keys", 1u << 20), "sandbox-test-key")) report = "not here\n";
    Sandbox sandbox;
    TestImage image;
    Spec spec = image.exec({"cat", "/proc/keys"});  // which shows the keys that the reader possesses
    spec.insecure = true;
    const Outcome outcome = sandbox.run(spec);
    if (outcome.exit.code != 0) report += cat("code ", outcome.exit.code, " ", outcome.exit.setup_error, "\n");
    return report + (holds(outcome.out, "sandbox-test-key") ? "the step has it\n" : "");
  });
  if (!test::can_run(seen != "no keyrings", "kernel keyrings")) return;
  CHECK(seen == "");
}

TEST_CASE("the limit of open files is the caller's, whatever the builder raised it to for itself") {
  if (!can_run_as_root()) return;
  const std::string limits = in_child([]() -> std::string {
    const rlimit low{300, 600};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return "setrlimit";
    Sandbox sandbox;
    TestImage image;
    return sandbox.run(image.spec("ulimit -n; ulimit -Hn")).out;
  });
  CHECK(limits == "300\n600\n");
}

TEST_CASE("a step that runs out of its cgroup's memory says so") {
  if (!can_run_as_root()) return;
  const std::string name = own_name("oom"), parent = cat("/sys/fs/cgroup/memory/", name);
  if (!sys::try_stat_at(AT_FDCWD, "/sys/fs/cgroup/memory/memory.limit_in_bytes")) {
    MESSAGE("skipped: this machine has unified control groups, which other cases cover");
    return;
  }
  Sandbox sandbox;
  TestImage image;
  sys::mkdir_at(AT_FDCWD, parent, 0755);
  const UniqueFd limit = sys::open_at(AT_FDCWD, cat(parent, "/memory.limit_in_bytes"), O_WRONLY);
  sys::write_all(limit.get(), "33554432");
  Spec spec = image.spec("tail /dev/zero");
  spec.cgroup_parent = name;
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.exit.setup_error == "");
  CHECK(outcome.exit.code == 137);
  CHECK(outcome.exit.use.oom_killed);
  spec = image.spec("sh -c 'kill -9 $$'; exit 137");
  spec.cgroup_parent = name;
  CHECK_FALSE(sandbox.run(spec).exit.use.oom_killed);
  remove_cgroups(name);
}

TEST_CASE("a step reads its limits where a container would, in a cgroup namespace of its own") {
  if (!can_run_as_root()) return;
  const bool v2 = sys::try_stat_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers").has_value();
  TestImage image;
  Sandbox sandbox;
  Spec spec = image.spec(cat("cat /sys/fs/cgroup/", v2 ? "memory.max" : "memory/memory.limit_in_bytes",
                             "; cut -d: -f3 /proc/self/cgroup | sort -u; for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do "
                             "mkdir $d/x 2>/dev/null && echo writable $d; done; true"));
  spec.resources.memory_bytes = 512 << 20;
  const Outcome limited = sandbox.run(spec);
  CHECK(limited.exit.code == 0);
  CHECK(limited.out == "536870912\n/\n");
  CHECK(limited.err.empty());
  // Without a limit of its own it sees the group of the builder, and nothing above that.
  const Outcome plain = sandbox.run(image.spec("cut -d: -f3 /proc/self/cgroup | sort -u; grep -c cgroup /proc/mounts"));
  CHECK(plain.out.starts_with("/\n"));
  CHECK_FALSE(holds(plain.out, "\n0\n"));
}
