// SPDX-License-Identifier: Apache-2.0
// Control groups without making any: the device program is interpreted here, and the lists of both versions are given
// as text.
#include "sandbox/cgroup.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/cgroup_dirs.h"
#include "sandbox/cgroup_limits.h"
#include "sandbox/device_rules.h"
#include "sandbox/host_traits.h"

using namespace cbuild;
using namespace cbuild::sandbox;

namespace {

/// The kernel's interpreter, for the few instructions that the generator uses: 1 allows.
std::uint64_t evaluate(const std::vector<bpf_insn>& code, const bpf_cgroup_dev_ctx& context) {
  std::uint64_t registers[11] = {};
  for (std::size_t at = 0; at < code.size(); ++at) {
    const bpf_insn& in = code[at];
    std::uint64_t& to = registers[in.dst_reg];
    switch (in.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        REQUIRE(in.src_reg == BPF_REG_1);
        to = in.off == 0 ? context.access_type : in.off == 4 ? context.major : context.minor;
        break;
      case BPF_ALU64 | BPF_MOV | BPF_X:
        to = registers[in.src_reg];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        to = static_cast<std::uint64_t>(in.imm);
        break;
      case BPF_ALU64 | BPF_AND | BPF_K:
        to &= static_cast<std::uint64_t>(in.imm);
        break;
      case BPF_ALU64 | BPF_RSH | BPF_K:
        to >>= in.imm;
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        at += to != static_cast<std::uint64_t>(in.imm) ? static_cast<std::size_t>(in.off) : 0;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += (to & static_cast<std::uint64_t>(in.imm)) != 0 ? static_cast<std::size_t>(in.off) : 0;
        break;
      case BPF_JMP | BPF_EXIT:
        return registers[0];
      default:
        FAIL("unexpected instruction ", in.code);
    }
  }
  FAIL("ran off the end");
  return 0;
}

constexpr std::uint32_t kRead = BPF_DEVCG_ACC_READ, kWrite = BPF_DEVCG_ACC_WRITE, kMake = BPF_DEVCG_ACC_MKNOD;
constexpr std::uint32_t kChar = BPF_DEVCG_DEV_CHAR, kBlock = BPF_DEVCG_DEV_BLOCK;

}  // namespace

TEST_CASE("the device program: any node may be made, few may be opened") {
  Spec spec;
  spec.devices.push_back({"/dev/sdb", 'b', 8, 16});
  const auto plain = device_program(device_rules(Spec{})), extended = device_program(device_rules(spec));
  const auto allowed = [](const std::vector<bpf_insn>& code, std::uint32_t type, std::uint32_t access,
                          std::uint32_t major, std::uint32_t minor) {
    return evaluate(code, {access << 16 | type, major, minor}) == 1;
  };
  for (const auto& [major, minor] :
       {std::pair{1u, 3u}, {1u, 5u}, {1u, 7u}, {1u, 8u}, {1u, 9u}, {5u, 0u}, {5u, 2u}, {136u, 0u}, {136u, 77u}})
    CHECK(allowed(plain, kChar, kRead | kWrite, major, minor));
  for (const auto& [major, minor] : {std::pair{1u, 1u}, {1u, 2u}, {1u, 11u}, {5u, 1u}, {10u, 200u}, {137u, 0u}}) {
    CHECK_FALSE(allowed(plain, kChar, kRead, major, minor));
    CHECK_FALSE(allowed(plain, kChar, kWrite, major, minor));
    CHECK_FALSE(allowed(plain, kChar, kMake | kRead, major, minor));
    CHECK(allowed(plain, kChar, kMake, major, minor));
  }
  CHECK_FALSE(allowed(plain, kBlock, kRead, 1, 3));
  CHECK_FALSE(allowed(plain, kBlock, kRead, 8, 16));
  CHECK(allowed(plain, kBlock, kMake, 8, 16));
  CHECK(allowed(extended, kBlock, kRead | kWrite, 8, 16));
  CHECK_FALSE(allowed(extended, kBlock, kRead, 8, 17));
  CHECK_FALSE(allowed(extended, kChar, kRead, 8, 16));
}

TEST_CASE("a device that may only be read") {
  Spec spec;
  spec.devices.push_back({.path = "/dev/d", .type = 'c', .major = 10, .minor = 1, .may_write = false});
  const auto code = device_program(device_rules(spec));
  const auto allowed = [&](std::uint32_t access) { return evaluate(code, {access << 16 | kChar, 10, 1}) == 1; };
  CHECK(allowed(kRead));
  CHECK(allowed(kMake));
  CHECK_FALSE(allowed(kWrite));
  CHECK_FALSE(allowed(kRead | kWrite));
  CHECK(devices_allow_lines(device_rules(spec)).back() == "c 10:1 rm");
}

TEST_CASE("a group that is held is not a leftover, one that nobody holds is") {
  const TempDir own = TempDir::in_tmp("cgroup-test-");
  const std::string group = cat(own.path(), "/", kCgroupPrefix, "1"), other = own.path() + "/other";
  sys::mkdir_at(AT_FDCWD, other, 0755);
  std::optional<UniqueFd> held = make_held(group);
  REQUIRE(held);
  CHECK_FALSE(make_held(group));  // there already
  remove_leftovers(own.path());
  CHECK(sys::try_stat_at(AT_FDCWD, group));
  held.reset();
  remove_leftovers(own.path());
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, group));
  CHECK(sys::try_stat_at(AT_FDCWD, other));
}

TEST_CASE("the same rules for cgroup v1") {
  Spec spec;
  spec.devices.push_back({"/dev/sdb", 'b', 8, 16});
  const auto lines = devices_allow_lines(device_rules(spec));
  CHECK(lines == std::vector<std::string>{"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
                                          "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm", "b 8:16 rwm"});
}

TEST_CASE("a hybrid machine: v1 hierarchies by their controllers, and v2") {
  const auto found = parse_hierarchies(
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
      "9:hugetlb:/\n4:memory:/a/b\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/u\n");
  REQUIRE(found.size() == 3);
  CHECK(found[0] == CgroupHierarchy{{"memory"}, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a/b", false});
  CHECK(found[1] ==
        CgroupHierarchy{{"cpu", "cpuacct"}, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", false});
  CHECK(found[2] == CgroupHierarchy{{}, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/u", true});
}

TEST_CASE("inside a container only a part of the hierarchy is mounted") {
  const char line[] = "30 20 0:26 /docker/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
  CHECK(parse_hierarchies(line, "0::/docker/abc\n")[0].own_directory == "/sys/fs/cgroup");
  CHECK(parse_hierarchies(line, "0::/docker/abc/below\n")[0].own_directory == "/sys/fs/cgroup/below");
  CHECK(parse_hierarchies(line, "0::/docker/abcd\n").empty());
  CHECK(parse_hierarchies(line, "0::/elsewhere\n").empty());
  CHECK(parse_hierarchies("30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/../../x\n").empty());
  CHECK(parse_hierarchies("30 20 0:26 / /with\\040blank rw - cgroup2 cgroup rw\n", "0::/\n")[0].mount_point ==
        "/with blank");
  CHECK(parse_hierarchies("", "").empty());
  CHECK(parse_hierarchies("garbage\n - \n", "garbage\n").empty());
}

TEST_CASE("the use of a step is in files of both versions") {
  ResourceUse v2{1, 2, 3, 4, 5, false};
  add_cgroup_use("cpu.stat", "usage_usec 9\nuser_usec 7\nsystem_usec 2\nnr_periods 0\n", v2);
  add_cgroup_use("memory.peak", "4096\n", v2);
  add_cgroup_use("io.stat", "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n", v2);
  CHECK(v2 == ResourceUse{7000, 2000, 4096, 101, 22, false});
  ResourceUse v1;
  add_cgroup_use("cpuacct.usage_user", "70\n", v1);
  add_cgroup_use("cpuacct.usage_sys", "20\n", v1);
  add_cgroup_use("memory.max_usage_in_bytes", "8192\n", v1);
  add_cgroup_use("blkio.throttle.io_service_bytes", "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\nTotal 120\n", v1);
  CHECK(v1 == ResourceUse{70, 20, 8192, 100, 20, false});
}

TEST_CASE("files of a group without numbers leave the use as it is") {
  ResourceUse use{1, 2, 3, 4, 5, true};
  for (const char* file : {"cpu.stat", "memory.peak", "io.stat", "cpuacct.usage_user", "cpuacct.usage_sys",
                           "memory.max_usage_in_bytes", "blkio.throttle.io_service_bytes", "another"})
    for (const char* text : {"", "max\n", "-1\n", "user_usec\nuser_usec x\n", "8:0 rbytes=\n", "8:0 Read\n"})
      add_cgroup_use(file, text, use);
  CHECK(use == ResourceUse{1, 2, 3, 4, 5, true});
}

TEST_CASE("the count of processes killed for memory is in all three files") {
  CHECK(parse_oom_kills("low 0\nhigh 0\nmax 5\noom 3\noom_kill 2\noom_group_kill 0\n") == 2);
  CHECK(parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n") == 7);
  CHECK(parse_oom_kills("nr_free_pages 5\noom_kill 0\n") == 0);
  CHECK_FALSE(parse_oom_kills("oom 3\n"));
  CHECK_FALSE(parse_oom_kills(""));
}

TEST_CASE("resource limits as the control files of both versions take them") {
  using Settings = std::vector<CgroupSetting>;
  const Resources all{1 << 20, 3 << 20, 1024, 50'000, 25'000, "0-1", "0"};
  CHECK(cgroup_settings(all, false) == Settings{{"memory", "memory.limit_in_bytes", "1048576"},
                                                {"memory", "memory.memsw.limit_in_bytes", "3145728"},
                                                {"cpu", "cpu.shares", "1024"},
                                                {"cpu", "cpu.cfs_period_us", "50000"},
                                                {"cpu", "cpu.cfs_quota_us", "25000"},
                                                {"cpuset", "cpuset.cpus", "0-1"},
                                                {"cpuset", "cpuset.mems", "0"}});
  CHECK(cgroup_settings(all, true) == Settings{{"memory", "memory.max", "1048576"},
                                               {"memory", "memory.swap.max", "2097152"},
                                               {"cpu", "cpu.weight", "39"},
                                               {"cpu", "cpu.max", "25000 50000"},
                                               {"cpuset", "cpuset.cpus", "0-1"},
                                               {"cpuset", "cpuset.mems", "0"}});
  CHECK(cgroup_settings({.memory_swap_bytes = -1, .cpu_period_us = 5000}, true) ==
        Settings{{"memory", "memory.swap.max", "max"}, {"cpu", "cpu.max", "max 5000"}});
  CHECK(cgroup_settings({.cpu_shares = 2}, true) == Settings{{"cpu", "cpu.weight", "1"}});
  CHECK(cgroup_settings({.cpu_shares = 262'144}, true) == Settings{{"cpu", "cpu.weight", "10000"}});
  CHECK(cgroup_settings({.cpu_quota_us = 7000}, true) == Settings{{"cpu", "cpu.max", "7000 100000"}});
  CHECK(cgroup_settings({}, true).empty());
  CHECK(cgroup_settings({}, false).empty());
}

TEST_CASE("a step sees the hierarchies of version 1 at their names, not that of version 2 next to them") {
  const auto shown = cgroups_to_show({{{"cpu", "cpuacct"}, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"},
                                      {{"name=systemd"}, "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/systemd/a"},
                                      {{}, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified", true}});
  const std::vector<setup::CgroupMount> expected = {{"cpu,cpuacct", {{"cpu", ""}, {"cpuacct", ""}}},
                                                    {"systemd", {{"none", ""}, {"name", "systemd"}}}};
  CHECK(shown == expected);
}
