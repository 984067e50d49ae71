// SPDX-License-Identifier: Apache-2.0
// The list of setup steps as text, for each mode and kind of machine; nothing is carried out.
#include <sched.h>

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/runner.h"
#include "sandbox/setup.h"

using namespace cbuild;
using namespace cbuild::sandbox;

namespace {

Spec simple_spec() {
  Spec spec;
  spec.argv = {"make", "all"};
  spec.environment = {"PATH=/first::relative:/bin"};
  spec.lower_fds = {10, 11};
  spec.upper_fd = 12;
  spec.work_fd = 13;
  return spec;
}

std::vector<std::string> listing(const Spec& spec, Mode mode, const setup::HostTraits& traits = {}) {
  std::vector<std::string> lines;
  for (const setup::Operation& operation : setup::make_plan(spec, mode, traits).operations)
    lines.push_back(setup::describe(operation));
  return lines;
}

bool has(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

std::size_t place(const std::vector<std::string>& lines, const std::string& line) {
  const auto found = std::find(lines.begin(), lines.end(), line);
  REQUIRE_MESSAGE(found != lines.end(), line);
  return static_cast<std::size_t>(found - lines.begin());
}

}  // namespace

TEST_CASE("the whole setup of a root step") {
  Spec spec = simple_spec();
  spec.skeleton_fd = 14;
  spec.hosts_file = "127.0.0.1 localhost\n";
  spec.resolv_conf = "x";
  spec.mounts.push_back({"/cache/", BindSource{15}});
  spec.mounts.push_back({"/run/secrets/a", ContentSource{"top secret"}, true, true, true, true});
  CHECK(describe_setup(spec, Mode::root) ==
        "new session\n"
        "root: mount overlay of 3 layers with upper\n"
        "tree 1: clone given source\n"
        "enter mount namespace\n"
        "attach root\n"
        "mount proc on /proc [nosuid,nodev,noexec]\n"
        "mount tmpfs on /dev [nosuid,strictatime] mode=755,size=65536k\n"
        "make directory /dev/pts 0755\n"
        "make directory /dev/shm 0755\n"
        "make directory /dev/mqueue 0755\n"
        "mount devpts on /dev/pts [nosuid,noexec] newinstance,ptmxmode=0666,mode=0620,gid=5\n"
        "mount tmpfs on /dev/shm [nosuid,nodev,noexec] mode=1777,size=67108864\n"
        "mount mqueue on /dev/mqueue [nosuid,nodev,noexec]\n"
        "make link /dev/fd -> /proc/self/fd\n"
        "make link /dev/stdin -> /proc/self/fd/0\n"
        "make link /dev/stdout -> /proc/self/fd/1\n"
        "make link /dev/stderr -> /proc/self/fd/2\n"
        "make link /dev/ptmx -> pts/ptmx\n"
        "make node /dev/null c 1:3 0666\n"
        "make node /dev/zero c 1:5 0666\n"
        "make node /dev/full c 1:7 0666\n"
        "make node /dev/random c 1:8 0666\n"
        "make node /dev/urandom c 1:9 0666\n"
        "make node /dev/tty c 5:0 0666\n"
        "mount sysfs on /sys [ro,nosuid,nodev,noexec]\n"
        "mount tmpfs for files given by value\n"
        "attach file of 1 bytes on /etc/resolv.conf 0644 0:0 [ro,nosuid,nodev,noexec]\n"
        "attach file of 20 bytes on /etc/hosts 0644 0:0 [ro,nosuid,nodev,noexec]\n"
        "attach tree 1 on /cache\n"
        "attach file of 10 bytes on /run/secrets/a 0400 0:0 [ro,nosuid,nodev,noexec]\n"
        "make read-only /proc/bus\n"
        "make read-only /proc/fs\n"
        "make read-only /proc/irq\n"
        "make read-only /proc/sys\n"
        "make read-only /proc/sysrq-trigger\n"
        "mask /proc/acpi\n"
        "mask /proc/asound\n"
        "mask /proc/interrupts\n"
        "mask /proc/kcore\n"
        "mask /proc/keys\n"
        "mask /proc/latency_stats\n"
        "mask /proc/sched_debug\n"
        "mask /proc/scsi\n"
        "mask /proc/timer_list\n"
        "mask /proc/timer_stats\n"
        "mask /sys/firmware\n"
        "mask /sys/devices/virtual/powercap\n"
        "pivot root\n"
        "set hostname buildkitsandbox\n"
        "set umask and resource limits\n"
        "close descriptors\n"
        "enter directory / as 0:0\n"
        "join new session keyring\n"
        "bound capabilities to 00000000a80425fb\n"
        "filter system calls\n"
        "set ids 0:0 groups 0\n"
        "set capabilities 00000000a80425fb\n"
        "exec make\n");
}

TEST_CASE("namespaces follow the mode and the network") {
  Spec spec = simple_spec();
  const auto namespaces = [&](Mode mode) { return setup::make_plan(spec, mode, {}).namespaces; };
  CHECK(namespaces(Mode::root) == (CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS));
  CHECK(namespaces(Mode::masked_proc) == (CLONE_NEWIPC | CLONE_NEWUTS));
  spec.network = NetworkMode::none;
  CHECK(namespaces(Mode::user_namespace) == (CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET));
  CHECK(has(listing(spec, Mode::root), "bring loopback up"));
}

TEST_CASE("a given network namespace is entered before anything is mounted") {
  Spec spec = simple_spec();
  spec.network_fd = 9;
  for (const Mode mode : {Mode::root, Mode::user_namespace}) {
    const auto lines = listing(spec, mode);
    const auto entered = std::find(lines.begin(), lines.end(), "enter the network namespace");
    const auto sysfs = std::find(lines.begin(), lines.end(), "mount sysfs on /sys [ro,nosuid,nodev,noexec]");
    CHECK(entered < sysfs);
    CHECK(sysfs != lines.end());
    CHECK_FALSE(has(lines, "bring loopback up"));
    CHECK((setup::make_plan(spec, mode, {}).namespaces & CLONE_NEWNET) == 0);
  }
}

TEST_CASE("a user namespace: userxattr, the machine's device nodes, sysfs only with an own network") {
  Spec spec = simple_spec();
  auto lines = listing(spec, Mode::user_namespace);
  CHECK(has(lines, "root: mount overlay of 2 layers with upper userxattr [nodev]"));
  CHECK(has(lines, "tree 1: clone /sys [ro,nosuid,nodev,noexec]"));
  CHECK(has(lines, "attach tree 1 on /sys"));
  CHECK(has(lines, "tree 2: clone /dev/null [ro,nosuid,noexec]"));
  CHECK(has(lines, "make file /dev/null"));
  CHECK(has(lines, "attach tree 2 on /dev/null"));
  CHECK_FALSE(has(lines, "make node /dev/null c 1:3 0666"));
  spec.network = NetworkMode::none;
  lines = listing(spec, Mode::user_namespace);
  CHECK(has(lines, "mount sysfs on /sys [ro,nosuid,nodev,noexec]"));
  lines = listing(spec, Mode::masked_proc);
  CHECK(has(lines, "tree 1: clone /proc [nosuid,nodev,noexec]"));
  CHECK(has(lines, "attach tree 1 on /proc"));
  setup::HostTraits narrow;
  narrow.tty_group_mapped = narrow.may_set_groups = false;
  lines = listing(spec, Mode::user_namespace, narrow);
  CHECK(has(lines, "mount devpts on /dev/pts [nosuid,noexec] newinstance,ptmxmode=0666,mode=0620"));
  CHECK(has(lines, "set ids 0:0 groups unchanged"));
}

TEST_CASE("without device control every mount is nodev and nodes are bound") {
  Spec spec = simple_spec();
  spec.mounts.push_back({"/t", TmpfsSource{}});
  spec.mounts.push_back({"/b", BindSource{15}, true});
  setup::HostTraits traits;
  traits.device_control = false;
  const auto lines = listing(spec, Mode::root, traits);
  CHECK(has(lines, "root: mount overlay of 2 layers with upper [nodev]"));
  CHECK(has(lines, "mount tmpfs on /t [nodev] mode=1777"));
  CHECK(has(lines, "tree 1: clone given source [ro,nodev]"));
  CHECK(has(lines, "mount tmpfs on /dev [nosuid,nodev,strictatime] mode=755,size=65536k"));
  CHECK(has(lines, "tree 2: clone /dev/null [ro,nosuid,noexec]"));
}

TEST_CASE("an insecure step: everything, no filter, no masks, more devices") {
  Spec spec = simple_spec();
  spec.insecure = true;
  setup::HostTraits traits;
  traits.device_control = false;
  traits.loop_devices = 2;
  const auto lines = listing(spec, Mode::root, traits);
  CHECK(has(lines, "root: mount overlay of 2 layers with upper"));
  CHECK(has(lines, "set capabilities ffffffffffffffff in all sets"));
  CHECK(has(lines, "mount sysfs on /sys [nosuid,nodev,noexec]"));
  CHECK(has(lines, "make directory /dev/net 0755"));
  CHECK(has(lines, "make node /dev/net/tun c 10:200 0666"));
  CHECK(has(lines, "make node /dev/loop1 b 7:1 0660"));
  for (const std::string& line : lines) {
    CHECK(line.find("mask") != 0);
    CHECK(line.find("make read-only") != 0);
    CHECK(line.find("filter") != 0);
  }
}

TEST_CASE("kernels without single-layer configuration: layers are cloned outside and mounted inside") {
  Spec spec = simple_spec();
  spec.mounts.push_back({"/m", OverlaySource{{20, 21}, "a/b", false}});
  setup::HostTraits traits;
  traits.layers_by_fsconfig = false;
  traits.layer_base = 30;
  traits.upper_name = "fs,1";
  traits.work_name = "work";
  const auto plan = setup::make_plan(spec, Mode::root, traits);
  const auto lines = listing(spec, Mode::root, traits);
  CHECK(place(lines, "trees 1-3: clone 2 layers and the upper") < place(lines, "enter mount namespace"));
  CHECK(place(lines, "enter mount namespace") < place(lines, "root: mount overlay of trees 1-2 with upper"));
  CHECK(place(lines, "root: mount overlay of trees 1-2 with upper") < place(lines, "attach root"));
  CHECK(has(lines, "trees 5-6: clone 2 layers"));
  CHECK(has(lines, "tree 4: mount overlay of trees 5-6 [ro]"));
  CHECK(place(lines, "tree 4: select a/b") < place(lines, "attach tree 4 on /m"));
  CHECK(plan.slots == 7);
  for (const setup::Operation& operation : plan.operations)
    if (const auto* overlay = std::get_if<setup::OverlayInPlace>(&operation); overlay != nullptr && overlay->has_base)
      CHECK(overlay->upper == "fs\\,1");
}

TEST_CASE("a writable merged tree gets its upper on a tmpfs; a single layer is only bound") {
  Spec spec = simple_spec();
  spec.mounts.push_back({"/w", OverlaySource{{20, 21}, "/", true}});
  spec.mounts.push_back({"/s", OverlaySource{{20}, "", false}});
  const auto lines = listing(spec, Mode::root);
  CHECK(has(lines, "tree 1: mount overlay of trees 2-3 with throw-away upper"));
  CHECK(has(lines, "tree 4: clone given source [ro]"));
}

TEST_CASE("cgroup v2 machines: a cgroup namespace and its file system, read-only") {
  setup::HostTraits traits;
  traits.cgroup_namespaces = true;
  traits.cgroups = {{}};
  traits.cgroup_procs = {40};
  const auto lines = listing(simple_spec(), Mode::root, traits);
  CHECK(lines[0] == "join 1 cgroups");
  CHECK(has(lines, "enter mount namespace and cgroup namespace"));
  CHECK(has(lines, "mount cgroups version 2 [ro,nosuid,nodev,noexec]"));
}

TEST_CASE("cgroup v1 machines: each hierarchy, in a namespace of the step's own; as is where that is missing") {
  setup::HostTraits traits;
  traits.cgroup_namespaces = true;
  traits.cgroups = {{"memory", {{"memory", ""}}}, {"systemd", {{"none", ""}, {"name", "systemd"}}}};
  Spec spec = simple_spec();
  CHECK(has(listing(spec, Mode::root, traits), "mount cgroups memory systemd [ro,nosuid,nodev,noexec]"));
  CHECK(has(listing(spec, Mode::masked_proc, traits), "mount cgroups memory systemd [ro,nosuid,nodev,noexec]"));
  spec.insecure = true;
  CHECK(has(listing(spec, Mode::root, traits), "mount cgroups memory systemd [nosuid,nodev,noexec]"));
  traits.cgroup_namespaces = false;
  CHECK_FALSE(has(listing(spec, Mode::root, traits), "mount cgroups memory systemd [nosuid,nodev,noexec]"));
  CHECK(has(listing(spec, Mode::root, traits), "enter mount namespace"));
}

TEST_CASE("rights that differ from the usual ones") {
  Spec spec = simple_spec();
  spec.security.capabilities = 1;
  spec.security.no_new_privileges = true;
  auto lines = listing(spec, Mode::root);
  CHECK(has(lines, "bound capabilities to 0000000000000001"));
  CHECK(has(lines, "set capabilities 0000000000000001"));
  CHECK(place(lines, "no new privileges") < place(lines, "filter system calls"));
  spec.security.filters_calls = false;
  CHECK_FALSE(has(listing(spec, Mode::root), "filter system calls"));
  spec.insecure = true;
  lines = listing(spec, Mode::root);
  CHECK(has(lines, "bound capabilities to ffffffffffffffff"));
  CHECK_FALSE(has(lines, "no new privileges"));
}

TEST_CASE("labels: asked for through the machine's /proc; files of the root have one as a whole") {
  setup::HostTraits traits;
  traits.labels = {true, "/proc/self/attr/apparmor/exec", true, true, "u:r:t:s0", "u:r:file_t:s0"};
  Spec spec = simple_spec();
  auto lines = listing(spec, Mode::root, traits);
  CHECK(place(lines, "write exec cbuild-default to /proc/self/attr/apparmor/exec") < place(lines, "pivot root"));
  CHECK(place(lines, "write u:r:t:s0 to /proc/self/attr/exec") > place(lines, "enter mount namespace"));
  CHECK(has(lines, "root: mount overlay of 2 layers with upper context=u:r:file_t:s0"));
  CHECK(
      has(listing(spec, Mode::user_namespace, traits), "root: mount overlay of 2 layers with upper userxattr [nodev]"));
  spec.insecure = true;
  lines = listing(spec, Mode::root, traits);
  CHECK(has(lines, "root: mount overlay of 2 layers with upper"));
  spec = simple_spec();
  spec.security.apparmor = "mine";
  CHECK_THROWS_AS(listing(spec, Mode::root), Error);
}

TEST_CASE("a bundle: the root and the mounts at names, then the runtime on the machine's root") {
  Spec spec = simple_spec();
  spec.argv = {"/bin/runc", "run"};
  spec.bundle = "/b";
  spec.hosts_file = "x";
  spec.mounts.push_back({"/cache", BindSource{15}});
  spec.mounts.push_back({"/t", TmpfsSource{}});
  spec.mounts.push_back({"/part", OverlaySource{{16}, "sub", false}, true});
  spec.mounts.push_back({"/secret", ContentSource{"top"}});
  CHECK(listing(spec, Mode::root) == std::vector<std::string>{
                                         "new session",
                                         "root: mount overlay of 2 layers with upper",
                                         "tree 1: clone given source",
                                         "tree 2: clone given source [ro]",
                                         "private copy of the machine's mounts",
                                         "attach root at /b/rootfs",
                                         "mount tmpfs for files given by value",
                                         "attach tree 1 at /b/mounts/0",
                                         "tree 2: select sub",
                                         "attach tree 2 at /b/mounts/1",
                                         "attach file of 3 bytes at /b/mounts/2",
                                         "attach file of 1 bytes at /b/mounts/3",
                                         "set umask and resource limits",
                                         "close descriptors",
                                         "exec /bin/runc",
                                     });
  CHECK(setup::make_plan(spec, Mode::root, {}).namespaces == CLONE_NEWPID);
  CHECK_THROWS_AS(listing(spec, Mode::user_namespace), Error);
}

TEST_CASE("chroot has the few steps that need no namespace") {
  Spec spec = simple_spec();
  spec.lower_fds.clear();
  CHECK(setup::make_plan(spec, Mode::chroot, {}).namespaces == 0);
  CHECK(describe_setup(spec, Mode::chroot) ==
        "new session\nchroot\nset umask and resource limits\nclose descriptors\nenter directory / as "
        "0:0\njoin new session keyring\n"
        "bound capabilities to 00000000a80425fb\nfilter system calls if possible\nset ids 0:0 groups 0\n"
        "set capabilities 00000000a80425fb\nexec make\n");
}

TEST_CASE("the command is looked for in the absolute directories of the last PATH") {
  Spec spec = simple_spec();
  auto plan = setup::make_plan(spec, Mode::root, {});
  CHECK(std::get<setup::Execute>(plan.operations.back()).candidates ==
        std::vector<std::string>{"/first/make", "/bin/make"});
  spec.environment.emplace_back("PATH=/last");
  plan = setup::make_plan(spec, Mode::root, {});
  CHECK(std::get<setup::Execute>(plan.operations.back()).candidates == std::vector<std::string>{"/last/make"});
  spec.argv[0] = "./make";
  plan = setup::make_plan(spec, Mode::root, {});
  CHECK(std::get<setup::Execute>(plan.operations.back()).candidates.empty());
}

TEST_CASE("groups hold the primary one, limits are read by name") {
  Spec spec = simple_spec();
  spec.uid = 5;
  spec.gid = 6;
  spec.additional_gids = {7};
  spec.ulimits = {{"NoFile", 10, -1}};
  const auto lines = listing(spec, Mode::root);
  CHECK(has(lines, "set ids 5:6 groups 6,7"));
  CHECK(has(lines, "set resource limit 7 to 10:18446744073709551615"));
}
