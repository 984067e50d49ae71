// SPDX-License-Identifier: Apache-2.0
// The mounts of a step, its own and the standard ones, and attacks of a hostile image on them.
#include <fcntl.h>
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "base/sys.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"

using namespace cbuild;
using namespace cbuild::sandbox;
using namespace cbuild::sandbox::testing;

using Lines = std::vector<std::string>;

namespace {

/// The options of the mounts on a target, from the step's mountinfo.
std::string mount_options(const std::string& mountinfo, const std::string& target) {
  std::string found;
  for (const std::string& line : split(mountinfo, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() > 9 && fields[4] == target)
      found = cat(fields[5], " - ", fields[fields.size() - 3], " ", fields.back());
  }
  return found;
}

}  // namespace

TEST_CASE("the mount table is that of BuildKit") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.spec("cat /proc/self/mountinfo");
  spec.shm_size = 1 << 20;
  const std::string table = sandbox.run(spec).out;
  CHECK(holds(mount_options(table, "/"), "rw,relatime - overlay"));
  CHECK(mount_options(table, "/proc") == "rw,nosuid,nodev,noexec,relatime - proc rw");
  CHECK(holds(mount_options(table, "/dev"), "rw,nosuid - tmpfs rw,size=65536k,mode=755"));
  CHECK(holds(mount_options(table, "/dev/pts"), "rw,nosuid,noexec,relatime - devpts rw,gid=5,mode=620,ptmxmode=666"));
  CHECK(holds(mount_options(table, "/dev/shm"), "rw,nosuid,nodev,noexec,relatime - tmpfs rw,size=1024k"));
  CHECK(mount_options(table, "/dev/mqueue") == "rw,nosuid,nodev,noexec,relatime - mqueue rw");
  CHECK(holds(mount_options(table, "/sys"), "ro,nosuid,nodev,noexec,relatime - sysfs"));
  CHECK(holds(mount_options(table, "/etc/hosts"), "ro,nosuid,nodev,noexec,relatime - tmpfs"));
  CHECK(holds(mount_options(table, "/etc/resolv.conf"), "ro,nosuid,nodev,noexec,relatime - tmpfs"));
  CHECK(holds(mount_options(table, "/proc/sys"), "ro,nosuid,nodev,noexec,relatime - proc"));
  CHECK(mount_options(table, "/run").empty());
  for (const std::string& line : split(table, '\n')) CHECK_FALSE(holds(line, "shared:"));
}

TEST_CASE("hosts and resolv.conf are those of the spec, and read-only") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  const Outcome outcome =
      sandbox.run(image.spec("cat /etc/hosts /etc/resolv.conf; stat -c %a:%u:%g /etc/hosts; echo x > "
                             "/etc/hosts; rm /etc/resolv.conf"));
  CHECK(outcome.out == "127.0.0.1 localhost\nnameserver 192.0.2.1\n644:0:0\n");
  CHECK(holds(outcome.err, "Read-only file system"));
  CHECK(holds(outcome.err, "busy"));
  Spec untouched = image.spec("cat /etc/hosts");
  untouched.hosts_file = untouched.resolv_conf = "";
  CHECK(sandbox.run(untouched).out == "of the image\n");
}

TEST_CASE("device nodes and links of /dev work, for users too") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.spec(
      "cd /dev; ls; head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c; echo x > /dev/null; cat "
      "/dev/null; "
      "echo y > /dev/full; for l in fd stdin ptmx; do readlink $l; done; test -c /dev/ptmx && echo ptmx; "
      "stat -c '%a %t:%T' null tty");
  spec.uid = spec.gid = 1000;
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.out ==
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n"
        "3\n5\n/proc/self/fd\n/proc/self/fd/0\npts/ptmx\nptmx\n666 1:3\n666 5:0\n");
  CHECK(holds(outcome.err, "No space left"));
}

TEST_CASE("bind mounts: writable ones write through, read-only ones do not, files work") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  sys::mkdir_all(image.dir(), "outside/sub", 0755);
  sys::write_file_at(image.dir(), "outside/file", "of outside\n");
  image.make_directory("rw");
  image.make_directory("ro");
  image.write("one", "");
  Spec spec = image.spec(
      "cat /ro/file /one; echo w > /rw/written; echo x > /ro/no; echo x > /one; echo x > /ro/sub/no; umount "
      "/ro; mount -o remount,rw /ro");
  spec.mounts.push_back({"/rw", BindSource{image.open("outside")}});
  spec.mounts.push_back({"/ro", BindSource{image.open("outside")}, true, true, true, true});
  spec.mounts.push_back({"/one", BindSource{image.open("outside/file")}, true});
  const Outcome outcome = sandbox.run(spec);
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(outcome.out == "of outside\nof outside\n");
  CHECK(outcome.exit.code != 0);
  CHECK(sys::read_file_at(image.dir(), "outside/written", 10) == "w\n");
  CHECK_FALSE(sys::try_stat_at(image.dir(), "outside/no"));
  CHECK_FALSE(sys::try_stat_at(image.dir(), "outside/sub/no"));
  CHECK(sys::read_file_at(image.dir(), "outside/file", 100) == "of outside\n");
  CHECK(image.upper() == Lines{});
}

TEST_CASE("tmpfs mounts: size, mode, nothing stays") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("scratch");
  Spec spec = image.spec(
      "stat -c %a /scratch; df -k /scratch | tail -n 1 | tr -s ' ' | cut -d' ' -f2; head -c 3000000 "
      "/dev/zero > /scratch/big; echo $?; stat -c %s /scratch/big");
  image.link("bin/cut", "busybox");
  spec.mounts.push_back({"/scratch", TmpfsSource{2u << 20, 0750}, false, true});
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.out == "750\n2048\n1\n2097152\n");
  CHECK(image.upper() == Lines{});
}

TEST_CASE("files given by value: owner, mode, on a tmpfs, gone afterwards") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.write("secret", "");
  Spec spec = image.spec(
      "stat -c '%a %u:%g' /secret; cat /secret; grep ' /secret ' /proc/self/mountinfo | grep -c ' - tmpfs '");
  spec.uid = spec.gid = 1000;
  spec.mounts.push_back(
      {"/secret", ContentSource{std::string("top\0secret\n", 11), 1000, 1000, 0400}, true, true, true, true});
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.out == std::string("400 1000:1000\ntop\0secret\n1\n", 27));
  CHECK(image.upper() == Lines{});
}

TEST_CASE("a file given by value can be run where its mount allows it") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.write("plain", "");
  Spec spec = image.spec("/dev/pipes/EOF; /plain");
  spec.mounts.push_back({"/dev/pipes/EOF", ContentSource{"#!/bin/sh\necho \"ran $0\"\n", 0, 0, 0755}, true});
  spec.mounts.push_back({"/plain", ContentSource{"#!/bin/sh\necho never\n", 0, 0, 0755}, true, false, false, true});
  const Outcome outcome = sandbox.run(spec);
  CHECK(outcome.out == "ran /dev/pipes/EOF\n");
  CHECK(outcome.exit.code == 126);
}

TEST_CASE("merged trees as mounts: layers, paths inside them, throw-away writes") {
  if (!can_run_as_root()) return;
  for (const bool in_place : {false, true}) {
    wire::Configure configuration;
    configuration.layers_in_place = in_place;
    Sandbox sandbox(configuration);
    TestImage image;
    for (const char* layer : {"a", "b"}) {
      sys::mkdir_all(image.dir(), cat(layer, "/deep/dir"), 0755);
      sys::write_file_at(image.dir(), cat(layer, "/deep/dir/", layer), cat("of ", layer, "\n"));
      sys::write_file_at(image.dir(), cat(layer, "/same"), cat("same of ", layer, "\n"));
    }
    ::symlinkat("/deep/dir", image.open("a"), "way");
    for (const char* target : {"m1", "m2", "m4"}) image.make_directory(target);
    image.write("m3", "");
    const int a = image.open("a"), b = image.open("b");
    Spec spec =
        image.spec("cat /m1/same /m3; ls /m2; echo no > /m1/no; echo yes > /m4/same && cat /m4/same; ls /m4/deep/dir");
    spec.mounts.push_back({"/m1", OverlaySource{{a, b}, "", false}});
    spec.mounts.push_back({"/m2", OverlaySource{{a, b}, "/way", false}});
    spec.mounts.push_back({"/m3", OverlaySource{{b}, "deep/dir/b", false}, true});
    spec.mounts.push_back({"/m4", OverlaySource{{a, b}, "/", true}});
    const Outcome outcome = sandbox.run(spec);
    REQUIRE(outcome.exit.setup_error == "");
    CHECK(outcome.out == "same of a\nof b\na\nb\nyes\na\nb\n");
    CHECK(holds(outcome.err, "Read-only"));
    CHECK(sys::read_file_at(image.dir(), "a/same", 100) == "same of a\n");
    CHECK(image.upper() == Lines{});
  }
}

TEST_CASE("a source path never leaves its tree") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  sys::mkdir_all(image.dir(), "tree/etc", 0755);
  sys::write_file_at(image.dir(), "tree/etc/hostname", "of the tree\n");
  const int tree = image.open("tree");
  ::symlinkat("../../../../../etc/hostname", tree, "up");
  image.write("m", "");
  Spec spec = image.spec("cat /m");
  spec.mounts.push_back({"/m", OverlaySource{{tree}, "up", false}});
  CHECK(sandbox.run(spec).out == "of the tree\n");
  spec = image.spec("cat /m");
  spec.mounts.push_back({"/m", OverlaySource{{tree}, "/../../etc/missing", false}});
  CHECK(holds(sandbox.run(spec).exit.setup_error, "select /../../etc/missing: No such file or directory"));
}

TEST_CASE("symlinks of the image at mount targets stay inside the root (CVE-2021-30465 and kin)") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  TempDir outside = TempDir::in_tmp("sandbox-outside");
  sys::write_file_at(outside.fd(), "hosts", "of the machine\n");
  sys::mkdir_all(image.layer(), cat(".", outside.path()), 0755);
  sys::write_file_at(image.layer(), cat(".", outside.path(), "/hosts"), "");
  // /etc of the image leads, through "..", to a directory that exists on the machine and in the image.
  sys::remove_all_at(image.layer(), "etc");
  image.link("etc", cat("../../../../..", outside.path()));
  image.make_directory("data");
  image.link("data/link", "/../../../../var");
  Spec spec =
      image.spec(cat("cat ", outside.path(), "/hosts; echo x > /var/inside; ls /var; ls /proc/self/root/data/link/"));
  spec.resolv_conf = "";
  spec.mounts.push_back({"/data/link", TmpfsSource{0, 01777}});
  const Outcome outcome = sandbox.run(spec);
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(outcome.out == "127.0.0.1 localhost\ninside\ninside\n");
  CHECK(sys::read_file_at(outside.fd(), "hosts", 100) == "of the machine\n");
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, "/var/inside"));
  CHECK(image.upper() == Lines{});
}

TEST_CASE("/dev, /proc and /sys of the image may be symlinks: their mounts land inside the root") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  for (const char* name : {"dev", "proc", "sys"}) {
    sys::remove_all_at(image.layer(), name);
    image.make_directory(cat("real/", name));
    image.link(name, cat("/../../real/", name));
  }
  const Outcome outcome =
      sandbox.run(image.spec("head -c 2 /dev/zero | wc -c; cat /proc/1/comm; test -d /sys/class && echo sys; "
                             "echo x > /proc/sys/kernel/hostname; exit 0"));
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(outcome.out == "2\nsh\nsys\n");
  CHECK(holds(outcome.err, "Read-only"));
}

TEST_CASE("magic links of the image's names are refused as targets") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  Spec spec = image.spec("true");
  spec.mounts.push_back({"/proc/self/cwd", TmpfsSource{}});
  CHECK(holds(sandbox.run(spec).exit.setup_error, "mount tmpfs on /proc/self/cwd"));
}

TEST_CASE("missing parts of a target are made inside an earlier mount, but never in the layer") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("cache");
  image.make_directory("empty");
  sys::mkdir_all(image.dir(), "store", 0755);
  // A symlink that another step could have left in the cache.
  ::symlinkat("/etc", image.open("store"), "evil");
  Spec spec = image.spec("cat /cache/x/y/file; ls /cache; ls /dev/extra; echo z > /cache/tmp/z");
  spec.mounts.push_back({"/cache", BindSource{image.open("store")}});
  spec.mounts.push_back({"/cache/x/y/file", ContentSource{"nested\n"}});
  spec.mounts.push_back({"/cache/tmp", TmpfsSource{}});
  spec.mounts.push_back({"/dev/extra/dir", TmpfsSource{}});
  const Outcome outcome = sandbox.run(spec);
  REQUIRE(outcome.exit.setup_error == "");
  CHECK(outcome.out == "nested\nevil\ntmp\nx\ndir\n");
  CHECK(image.upper() == Lines{});
  CHECK(sys::stat_at(image.dir(), "store/x/y/file").st_size == 0);
  CHECK_FALSE(sys::try_stat_at(image.dir(), "store/tmp/z"));

  spec = image.spec("true");
  spec.mounts.push_back({"/empty/missing", TmpfsSource{}});
  CHECK(sandbox.run(spec).exit.setup_error == "mount tmpfs on /empty/missing mode=1777: No such file or directory");
  CHECK(image.upper() == Lines{});

  spec = image.spec("ls /etc");
  spec.mounts.push_back({"/cache", BindSource{image.open("store")}});
  spec.mounts.push_back({"/cache/evil/made", ContentSource{"x"}});
  CHECK(sandbox.run(spec).exit.code == 125);
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, "/etc/made"));
}

TEST_CASE("later mounts lie over earlier ones") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.write("f", "");
  Spec spec = image.spec("cat /f");
  spec.mounts.push_back({"/f", ContentSource{"first\n"}});
  spec.mounts.push_back({"/f", ContentSource{"second\n"}});
  CHECK(sandbox.run(spec).out == "second\n");
}

TEST_CASE("mounts of a step are not seen on the machine, and mounts made there do not come in") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("unique-mount-target");
  Spec spec = image.spec("echo up; sleep 60");
  spec.mounts.push_back({"/unique-mount-target", TmpfsSource{}});
  Running step(sandbox.runner(), spec);
  step.wait_for("up");
  CHECK_FALSE(holds(sys::read_file_at(AT_FDCWD, "/proc/self/mountinfo", 1u << 22), "unique-mount-target"));
  step.step().stop(std::chrono::milliseconds(0));
  CHECK(step.wait().exit.code == 137);
}

TEST_CASE("sub-mounts of a bound directory come along and are private") {
  if (!can_run_as_root()) return;
  Sandbox sandbox;
  TestImage image;
  image.make_directory("bound");
  Spec spec = image.spec("cat /bound/sys/kernel/ostype; grep -c ' /bound/sys .*shared' /proc/self/mountinfo");
  image.make_directory("bound/sys");
  const UniqueFd proc = sys::open_at(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY);
  spec.mounts.push_back({"/bound", BindSource{proc.get()}, true});
  CHECK(sandbox.run(spec).out == "Linux\n0\n");
}
