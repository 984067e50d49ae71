// SPDX-License-Identifier: Apache-2.0
// What a step may not do, and what insecure ones may.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <algorithm>

#include "base/sys.h"
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

/// The parents that a test named; builds leave these alone.
void remove_cgroups(const std::string& name) {
  ::rmdir(cat("/sys/fs/cgroup/", name).c_str());
  for (const std::string& hierarchy :
       sys::list_dir(sys::open_at(AT_FDCWD, "/sys/fs/cgroup", O_RDONLY | O_DIRECTORY).get()))
    ::rmdir(cat("/sys/fs/cgroup/", hierarchy, "/", name).c_str());
}

wire::Configure with(wire::DeviceControl control) {
  wire::Configure configuration;
  configuration.device_control = control;
  return configuration;
}

}  // namespace

TEST_CASE("capabilities, filter and no_new_privs are those of the reference") {
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
    spec.network = Network::none;
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
  spec.network = Network::none;
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
    std::vector<std::string> own;
    for (const char* hierarchy : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/devices"}) {
      if (!sys::try_stat_at(AT_FDCWD, cat(hierarchy, "/cgroup.procs"))) continue;
      own.push_back(cat(hierarchy, "/sandbox-test-", ::getpid()));
      sys::mkdir_at(AT_FDCWD, own.back(), 0755);
      sys::write_all(sys::open_at(AT_FDCWD, cat(own.back(), "/cgroup.procs"), O_WRONLY).get(), "0");
    }
    const std::string mounts = sys::read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1u << 22);
    std::string report;
    for (const auto control : {wire::DeviceControl::automatic, wire::DeviceControl::cgroup_v1}) {
      Sandbox sandbox(with(control));
      TestImage image;
      for (const char* parent : {"", "sandbox-test-parent"}) {
        Spec spec = image.spec("true");
        spec.cgroup_parent = parent;
        const Exit exit = sandbox.run(spec).exit;
        if (exit.code != 0) report += cat("code ", exit.code, " ", exit.setup_error, "\n");
      }
    }
    for (const std::string& directory : own) {
      for (const std::string& name : sys::list_dir(sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY).get()))
        if (sys::stat_at(AT_FDCWD, cat(directory, "/", name)).st_mode & S_IFDIR) report += cat("left ", name, "\n");
      sys::write_all(sys::open_at(AT_FDCWD, cat(directory, "/../cgroup.procs"), O_WRONLY).get(), "0");
      if (::rmdir(directory.c_str()) != 0) report += cat("cannot remove ", directory, "\n");
    }
    if (sys::read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1u << 22) != mounts) report += "mounts changed\n";
    return report;
  });
  CHECK(result == "");
  remove_cgroups("sandbox-test-parent");
}

TEST_CASE("a step that runs out of its cgroup's memory says so") {
  if (!can_run_as_root()) return;
  const std::string parent = "/sys/fs/cgroup/memory/cbuild-oom-test";
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
  spec.cgroup_parent = "cbuild-oom-test";
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.exit.setup_error == "");
  CHECK(outcome.exit.code == 137);
  CHECK(outcome.exit.oom_killed);
  spec = image.spec("sh -c 'kill -9 $$'; exit 137");
  spec.cgroup_parent = "cbuild-oom-test";
  CHECK_FALSE(sandbox.run(spec).exit.oom_killed);
  remove_cgroups("cbuild-oom-test");
}
