// SPDX-License-Identifier: Apache-2.0
// The config.json that an OCI runtime gets for a step, part by part against the runtime-spec.
#include "sandbox/oci_bundle/config_json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

using namespace cbuild;
using namespace cbuild::sandbox;
using Json = nlohmann::json;

namespace {

Spec step() {
  Spec spec;
  spec.argv = {"/bin/sh", "-c", "true"};
  spec.environment = {"A=b"};
  spec.working_dir = "/w";
  spec.uid = 7;
  spec.gid = 8;
  spec.additional_gids = {9};
  spec.lower_fds = {3};
  spec.upper_fd = 4;
  spec.work_fd = 5;
  return spec;
}

Json config(const Spec& spec) {
  return Json::parse(oci::config_json(spec, {"group", {"/sys/cpu0"}, confine::kAllCapabilities, {}}));
}

Json mount_at(const Json& config, const std::string& target) {
  Json found;
  for (const Json& mount : config["mounts"])
    if (mount["destination"] == target) found = mount;
  return found;
}

bool holds(const Json& list, const Json& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

}  // namespace

TEST_CASE("a step's command, ids and place are those of the process") {
  const Json made = config(step());
  CHECK(made["ociVersion"] == "1.2.0");
  CHECK(made["root"] == Json{{"path", "rootfs"}, {"readonly", false}});
  CHECK(made["hostname"] == "buildkitsandbox");
  const Json& process = made["process"];
  CHECK(process["args"] == Json::array({"/bin/sh", "-c", "true"}));
  CHECK(process["env"] == Json::array({"A=b"}));
  CHECK(process["cwd"] == "/w");
  CHECK(process["user"] == Json{{"uid", 7}, {"gid", 8}, {"additionalGids", Json::array({9})}});
  CHECK(process["capabilities"]["bounding"].size() == 14);
  CHECK_FALSE(process["capabilities"].contains("ambient"));
  CHECK(process["noNewPrivileges"] == false);
}

TEST_CASE("namespaces, masks, groups and limits") {
  Spec spec = step();
  spec.network = NetworkMode::none;
  spec.resources.memory_bytes = 1 << 20;
  spec.resources.cpu_quota_us = 50'000;
  spec.ulimits = {{"nofile", 10, -1}};
  const Json made = config(spec);
  const Json& kernel = made["linux"];
  CHECK(kernel["cgroupsPath"] == "group");
  for (const char* type : {"pid", "ipc", "uts", "mount", "cgroup", "network"})
    CHECK(holds(kernel["namespaces"], Json::object({{"type", type}})));
  CHECK_FALSE(holds(config(step())["linux"]["namespaces"], Json::object({{"type", "network"}})));
  CHECK(holds(kernel["maskedPaths"], "/proc/kcore"));
  CHECK(holds(kernel["maskedPaths"], "/sys/cpu0"));
  CHECK(holds(kernel["readonlyPaths"], "/proc/sys"));
  CHECK(kernel["resources"]["memory"] == Json::object({{"limit", 1 << 20}}));
  CHECK(kernel["resources"]["cpu"] == Json::object({{"quota", 50'000}}));
  CHECK(kernel["resources"]["devices"][0] == Json{{"allow", false}, {"access", "rwm"}});
  CHECK(made["process"]["rlimits"] ==
        Json::array({{{"type", "RLIMIT_NOFILE"}, {"soft", 10}, {"hard", ~std::uint64_t{0}}}}));
}

TEST_CASE("mounts of a step are names in the bundle, by number; files given by value count too") {
  Spec spec = step();
  spec.resolv_conf = "nameserver 1.1.1.1\n";
  spec.mounts.push_back({"/cache", BindSource{11}});
  spec.mounts.push_back({"/tmp", TmpfsSource{4096, 01777}});
  spec.mounts.push_back({"/run/secrets/a", ContentSource{"s"}, true, true, true, true});
  spec.mounts.push_back({"/dev/shm", TmpfsSource{}});
  const Json made = config(spec);
  CHECK(mount_at(made, "/cache")["source"] == "mounts/0");
  CHECK(mount_at(made, "/run/secrets/a")["source"] == "mounts/1");
  CHECK(mount_at(made, "/run/secrets/a")["options"] == Json::array({"rbind", "ro", "nosuid", "nodev", "noexec"}));
  CHECK(mount_at(made, "/etc/resolv.conf")["source"] == "mounts/2");
  CHECK(mount_at(made, "/tmp")["options"] == Json::array({"rw", "mode=1777", "size=4096"}));
  CHECK_FALSE(holds(mount_at(made, "/dev/shm")["options"], "nosuid"));
  CHECK(oci::config_json(spec, {}).find("nameserver") == std::string::npos);
}

TEST_CASE("rights: the default profile, a given one, none; all for insecure steps") {
  Spec spec = step();
  const Json plain = config(spec)["linux"]["seccomp"];
  CHECK(plain["defaultAction"] == "SCMP_ACT_ERRNO");
  CHECK(holds(plain["syscalls"][0]["names"], "openat"));
  CHECK(holds(plain["syscalls"][0]["names"], "chroot"));
  CHECK_FALSE(holds(plain["syscalls"][0]["names"], "mount"));
  spec.security.capabilities |= *confine::capability_bit("SYS_ADMIN");
  spec.security.no_new_privileges = true;
  CHECK(holds(config(spec)["linux"]["seccomp"]["syscalls"][0]["names"], "mount"));
  CHECK(config(spec)["process"]["noNewPrivileges"] == true);
  spec.security.seccomp = {"SCMP_ACT_LOG", 1, {"SCMP_ARCH_X86_64"}, {{{"read"}, "SCMP_ACT_ERRNO", 13, {}}}, "d"};
  CHECK(config(spec)["linux"]["seccomp"] ==
        Json{{"defaultAction", "SCMP_ACT_LOG"},
             {"architectures", Json::array({"SCMP_ARCH_X86_64"})},
             {"syscalls",
              Json::array({{{"names", Json::array({"read"})}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 13}}})}});
  spec.security.filters_calls = false;
  CHECK_FALSE(config(spec)["linux"].contains("seccomp"));
  spec = step();
  spec.insecure = true;
  const Json all = config(spec);
  CHECK(all["process"]["capabilities"]["ambient"].size() == 41);
  CHECK_FALSE(all["linux"].contains("seccomp"));
  CHECK_FALSE(all["linux"].contains("maskedPaths"));
  CHECK(all["linux"]["resources"]["devices"] == Json::array({{{"allow", true}, {"access", "rwm"}}}));
  CHECK(holds(mount_at(all, "/sys")["options"], "rw"));
}
