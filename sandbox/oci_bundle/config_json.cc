// SPDX-License-Identifier: Apache-2.0
// A step in the words of the runtime-spec. Each part follows the one of our own sandbox that does the same: the
// mounts setup_plan.cc, /dev setup_devices.cc, the end setup_command.cc. The conformance test holds the two against
// each other.
#include "sandbox/oci_bundle/config_json.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "sandbox/confine/labels.h"
#include "sandbox/confine/seccomp_json.h"
#include "sandbox/device_rules.h"
#include "sandbox/seccomp_profile.h"
#include "sandbox/setup.h"

namespace cbuild::sandbox::oci {
namespace {

using Json = nlohmann::ordered_json;

Json mount_json(const std::string& target, const std::string& type, const std::string& source,
                const std::vector<std::string>& options) {
  return {{"destination", target}, {"type", type}, {"source", source}, {"options", options}};
}

std::vector<std::string> options_of(const Mount& mount) {
  std::vector<std::string> options = {mount.read_only ? "ro" : "rw"};
  if (mount.no_suid) options.emplace_back("nosuid");
  if (mount.no_dev) options.emplace_back("nodev");
  if (mount.no_exec) options.emplace_back("noexec");
  return options;
}

std::string octal_mode(mode_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) text += static_cast<char>('0' + ((mode >> shift) & 7));
  return text;
}

/// The mounts of every step. One of the step at the same place stands for it.
Json standard_mounts(const Spec& spec) {
  const std::string access = spec.insecure ? "rw" : "ro";
  const std::vector<std::string> quiet = {"nosuid", "noexec", "nodev"}, system = {"nosuid", "noexec", "nodev", access};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), quiet.begin(), quiet.end());
    return more;
  };
  Json out = Json::array();
  const auto add = [&](Json mount) {
    const auto destination = mount["destination"].get<std::string>();
    for (const Mount& own : spec.mounts)
      if (clean_path(own.target) == destination && destination != "/dev") return;
    out.push_back(std::move(mount));
  };
  add(mount_json("/proc", "proc", "proc", quiet));
  add(mount_json("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
  add(mount_json("/dev/pts", "devpts", "devpts",
                 {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
  add(mount_json("/dev/shm", "tmpfs", "shm", with({"mode=1777", cat("size=", spec.shm_size)})));
  add(mount_json("/dev/mqueue", "mqueue", "mqueue", quiet));
  add(mount_json("/sys", "sysfs", "sysfs", system));
  add(mount_json("/sys/fs/cgroup", "cgroup", "cgroup", system));
  return out;
}

Json mounts_json(const Spec& spec) {
  Json out = standard_mounts(spec);
  const auto bind = [&](std::size_t number, const std::string& target, std::vector<std::string> options) {
    options.insert(options.begin(), "rbind");
    out.push_back(mount_json(target, "bind", cat("mounts/", number), options));
  };
  const std::vector<BundleMount> named = bundle_mounts(spec);
  for (std::size_t i = 0; i < named.size(); ++i)
    if (named[i].mount == nullptr) bind(i, named[i].target, {"ro", "nosuid", "noexec", "nodev"});
  std::size_t number = 0;
  for (const Mount& mount : spec.mounts) {
    const auto* tmpfs = std::get_if<TmpfsSource>(&mount.source);
    std::vector<std::string> options = options_of(mount);
    if (tmpfs == nullptr) {
      bind(number++, mount.target, options);
      continue;
    }
    options.push_back(cat("mode=", octal_mode(tmpfs->mode)));
    if (tmpfs->size_bytes > 0) options.push_back(cat("size=", tmpfs->size_bytes));
    out.push_back(mount_json(mount.target, "tmpfs", "tmpfs", options));
  }
  return out;
}

Json process_json(const Spec& spec, const BundleSettings& settings, const confine::StepLabels& labels) {
  const std::vector<std::string> held = confine::capability_names(
      settings.held & (spec.insecure ? confine::kAllCapabilities : spec.security.capabilities));
  Json capabilities = {{"bounding", held}, {"effective", held}, {"permitted", held}};
  if (spec.insecure) capabilities["inheritable"] = capabilities["ambient"] = held;
  Json process = {{"terminal", false},
                  {"user", {{"uid", spec.uid}, {"gid", spec.gid}, {"additionalGids", spec.additional_gids}}},
                  {"args", spec.argv},
                  {"env", spec.environment},
                  {"cwd", spec.working_dir},
                  {"capabilities", capabilities},
                  {"noNewPrivileges", !spec.insecure && spec.security.no_new_privileges}};
  for (const Ulimit& limit : spec.ulimits) {
    const setup::LimitResource value = setup::limit_step(limit);
    process["rlimits"].push_back(
        {{"type", cat("RLIMIT_", to_upper(limit.name))}, {"soft", value.soft}, {"hard", value.hard}});
  }
  for (const confine::LabelWrite& write : labels.writes) {
    const bool apparmor = write.text.starts_with("exec ");
    process[apparmor ? "apparmorProfile" : "selinuxLabel"] = apparmor ? write.text.substr(5) : write.text;
  }
  return process;
}

Json devices_json(const Spec& spec) {
  if (spec.insecure) return Json::array({{{"allow", true}, {"access", "rwm"}}});
  Json out = Json::array({{{"allow", false}, {"access", "rwm"}}});
  for (const char* type : {"c", "b"}) out.push_back({{"allow", true}, {"type", type}, {"access", "m"}});
  for (const DeviceRule& rule : device_rules(spec)) {
    Json entry = {{"allow", true}, {"type", std::string(1, rule.type)}, {"major", rule.major}};
    if (rule.minor >= 0) entry["minor"] = rule.minor;
    entry["access"] = cat(rule.may_read ? "r" : "", rule.may_write ? "w" : "", "m");
    out.push_back(std::move(entry));
  }
  return out;
}

Json resources_json(const Spec& spec) {
  const Resources& r = spec.resources;
  Json out = Json::object({{"devices", devices_json(spec)}});
  const auto set = [&](const char* part, const char* name, auto value, bool given) {
    if (given) out[part][name] = value;
  };
  set("memory", "limit", r.memory_bytes, r.memory_bytes > 0);
  set("memory", "swap", r.memory_swap_bytes, r.memory_swap_bytes != 0);
  set("cpu", "shares", r.cpu_shares, r.cpu_shares > 0);
  set("cpu", "quota", r.cpu_quota_us, r.cpu_quota_us > 0);
  set("cpu", "period", r.cpu_period_us, r.cpu_period_us > 0);
  set("cpu", "cpus", r.cpuset_cpus, !r.cpuset_cpus.empty());
  set("cpu", "mems", r.cpuset_mems, !r.cpuset_mems.empty());
  return out;
}

Json rule_json(const std::vector<std::string>& names, const std::string& action) {
  return {{"names", names}, {"action", action}};
}

/// The default profile in the words of the runtime-spec.
Json default_seccomp(std::uint64_t capabilities) {
  std::vector<std::string> allowed(allowed_calls().begin(), allowed_calls().end());
  for (const NumberedCall& call : allowed_new_calls()) allowed.emplace_back(call.name);
  bool may_clone = false;
  for (const CallsOfCapability& calls : calls_of_capabilities()) {
    if ((capabilities & *confine::capability_bit(calls.capability)) == 0) continue;
    allowed.insert(allowed.end(), calls.names.begin(), calls.names.end());
    may_clone |= std::string_view(calls.capability) == "SYS_ADMIN";
  }
  Json rules = Json::array({rule_json(allowed, "SCMP_ACT_ALLOW")});
  const auto compare = [&](const char* name, unsigned index, std::uint64_t value, std::uint64_t two, const char* how) {
    Json rule = rule_json({name}, "SCMP_ACT_ALLOW");
    rule["args"] = Json::array({{{"index", index}, {"value", value}, {"valueTwo", two}, {"op", how}}});
    rules.push_back(std::move(rule));
  };
  compare("socket", 0, 38, 0, "SCMP_CMP_LT");
  compare("socket", 0, 39, 0, "SCMP_CMP_EQ");
  compare("socket", 0, 40, 0, "SCMP_CMP_GT");
  for (const std::uint64_t domain : {0x0u, 0x8u, 0x20000u, 0x20008u, 0xffffffffu})
    compare("personality", 0, domain, 0, "SCMP_CMP_EQ");
  if (may_clone) return rules;
  constexpr std::uint64_t kNamespaces = 0x7e020000;
  compare("clone", 0, kNamespaces, 0, "SCMP_CMP_MASKED_EQ");
  Json clone3 = rule_json({"clone3"}, "SCMP_ACT_ERRNO");
  clone3["errnoRet"] = 38;
  rules.push_back(std::move(clone3));
  return rules;
}

Json given_seccomp(const confine::SeccompProfile& profile) {
  Json rules = Json::array();
  for (const confine::SeccompRule& rule : profile.rules) {
    Json out = rule_json(rule.names, rule.action);
    if (rule.action == "SCMP_ACT_ERRNO" || rule.action == "SCMP_ACT_TRACE") out["errnoRet"] = rule.error;
    for (const confine::SeccompArgument& a : rule.arguments)
      out["args"].push_back({{"index", a.index}, {"value", a.value}, {"valueTwo", a.value_two}, {"op", a.comparison}});
    rules.push_back(std::move(out));
  }
  return rules;
}

Json seccomp_json(const Spec& spec) {
  const confine::SeccompProfile& given = spec.security.seccomp;
  if (!given.default_action.empty()) {
    Json out = {{"defaultAction", given.default_action}};
    if (given.default_action == "SCMP_ACT_ERRNO") out["defaultErrnoRet"] = given.default_error;
    out["architectures"] = given.architectures;
    out["syscalls"] = given_seccomp(given);
    return out;
  }
  const std::vector<std::string> architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  Json out = {{"defaultAction", "SCMP_ACT_ERRNO"}, {"defaultErrnoRet", 1}};
#if defined(__x86_64__)
  out["architectures"] = architectures;
#endif
  out["syscalls"] = default_seccomp(spec.security.capabilities);
  return out;
}

Json linux_json(const Spec& spec, const BundleSettings& settings, const confine::StepLabels& labels) {
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount", "cgroup"}) namespaces.push_back({{"type", type}});
  if (spec.network == NetworkMode::none) namespaces.push_back({{"type", "network"}});
  Json out = {{"namespaces", namespaces}, {"resources", resources_json(spec)}};
  if (!settings.cgroup.empty()) out["cgroupsPath"] = settings.cgroup;
  if (!labels.mount_context.empty()) out["mountLabel"] = labels.mount_context;
  for (const DeviceNode& node : spec.devices)
    out["devices"].push_back({{"path", node.path},
                              {"type", std::string(1, node.type)},
                              {"major", node.major},
                              {"minor", node.minor},
                              {"fileMode", node.mode},
                              {"uid", node.uid},
                              {"gid", node.gid}});
  if (spec.insecure) return out;
  std::vector<std::string> masked(setup::masked_paths().begin(), setup::masked_paths().end());
  masked.insert(masked.end(), settings.thermal_paths.begin(), settings.thermal_paths.end());
  out["maskedPaths"] = masked;
  out["readonlyPaths"] = std::vector<std::string>(setup::read_only_paths().begin(), setup::read_only_paths().end());
  if (spec.security.filters_calls) out["seccomp"] = seccomp_json(spec);
  return out;
}

}  // namespace

std::vector<BundleMount> bundle_mounts(const Spec& spec) {
  std::vector<BundleMount> out;
  for (const Mount& mount : spec.mounts)
    if (!std::holds_alternative<TmpfsSource>(mount.source)) out.push_back({mount.target, &mount, {}});
  if (!spec.resolv_conf.empty()) out.push_back({"/etc/resolv.conf", nullptr, spec.resolv_conf});
  if (!spec.hosts_file.empty()) out.push_back({"/etc/hosts", nullptr, spec.hosts_file});
  return out;
}

std::string config_json(const Spec& spec, const BundleSettings& settings) {
  const confine::StepLabels labels = confine::choose_labels(settings.labels, spec.security, spec.insecure);
  const Json config = {{"ociVersion", "1.2.0"},
                       {"process", process_json(spec, settings, labels)},
                       {"root", {{"path", "rootfs"}, {"readonly", false}}},
                       {"hostname", spec.hostname},
                       {"mounts", mounts_json(spec)},
                       {"linux", linux_json(spec, settings, labels)}};
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace cbuild::sandbox::oci
