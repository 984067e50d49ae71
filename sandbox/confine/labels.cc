// SPDX-License-Identifier: Apache-2.0
// Which labels a step gets. Both modules label the next program at exec: a process writes to its own attributes of
// /proc beforehand, in the sandbox through the machine's /proc, which no image can replace. SELinux also labels the
// files of a mount as a whole. Everything is read from a handful of files, so that tests give the answers of kernels
// that have the modules.
#include "sandbox/confine/labels.h"

#include <fcntl.h>

#include <span>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sandbox::confine {
namespace {

constexpr std::string_view kUnconfinedLabel = "unconfined", kDisable = "disable";

std::string read_small_file(const std::string& path) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  if (!fd) return {};
  try {
    return sys::read_all(fd->get(), 1u << 20);
  } catch (const Error&) {
    return {};  // attributes may refuse to be read
  }
}

bool is_there(const std::string& path) { return sys::try_stat_at(AT_FDCWD, path).has_value(); }

/// The value of `key = "value"` or KEY=value.
std::string setting(const std::string& text, std::string_view key) {
  for (const std::string& line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos || trim(line.substr(0, equals)) != key) continue;
    std::string value(trim(std::string_view(line).substr(equals + 1)));
    std::erase(value, '"');
    return value;
  }
  return {};
}

void detect_apparmor(const std::string& root, LabelSupport& support) {
  support.apparmor = read_small_file(root + "/sys/module/apparmor/parameters/enabled").starts_with("Y");
  if (!support.apparmor) return;
  // Kernels before 5.8 have one attribute for whichever module is the main one.
  const bool has_own = is_there(root + "/proc/self/attr/apparmor/exec");
  support.apparmor_attribute = has_own ? "/proc/self/attr/apparmor/exec" : "/proc/self/attr/exec";
  for (const std::string& line : split(read_small_file(root + "/sys/kernel/security/apparmor/profiles"), '\n'))
    support.has_default_profile |= line.starts_with(cat(kDefaultProfile, " ("));
}

void detect_selinux(const std::string& root, LabelSupport& support) {
  support.selinux = is_there(root + "/sys/fs/selinux/enforce");
  if (!support.selinux) return;
  const std::string type = setting(read_small_file(root + "/etc/selinux/config"), "SELINUXTYPE");
  const std::string contexts =
      read_small_file(cat(root, "/etc/selinux/", type.empty() ? "targeted" : type, "/contexts/lxc_contexts"));
  support.process_label = setting(contexts, "process");
  support.file_label = setting(contexts, "file");
}

/// USER:ROLE:TYPE:LEVEL with the parts that the user gives; of a file only the level counts.
std::string changed_label(const std::string& label, const std::vector<std::string>& options, bool of_file) {
  std::vector<std::string> parts = split(label, ':');
  while (parts.size() < 4) parts.emplace_back();
  const std::string level = join(std::span(parts).subspan(3), ":");
  parts.resize(4);
  parts[3] = level;
  for (const std::string& option : options) {
    const std::string key = option.substr(0, option.find(':')), value = option.substr(option.find(':') + 1);
    const std::size_t index = key == "user" ? 0 : key == "role" ? 1 : key == "type" ? 2 : 3;
    if (index == 3 || !of_file) parts[index] = value;
  }
  return join(parts, ":");
}

void choose_apparmor(const LabelSupport& support, const Security& security, StepLabels& labels) {
  const std::string& wanted = security.apparmor;
  if (wanted == kUnconfinedLabel) return;
  if (!support.apparmor && !wanted.empty())
    throw Error(ErrorCode::unsupported, cat("apparmor=", wanted, ": this machine has no AppArmor"))
        .with_hint("leave --security-opt apparmor= out, or build on a kernel with AppArmor");
  if (!support.apparmor || (wanted.empty() && !support.has_default_profile)) return;
  const bool is_asked = !wanted.empty();
  labels.writes.push_back({support.apparmor_attribute, cat("exec ", is_asked ? wanted : kDefaultProfile), is_asked});
}

void choose_selinux(const LabelSupport& support, const Security& security, StepLabels& labels) {
  const std::vector<std::string>& options = security.label_options;
  for (const std::string& option : options)
    if (option == kDisable) return;
  if (!support.selinux && !options.empty())
    throw Error(ErrorCode::unsupported, cat("label=", options.front(), ": this machine has no SELinux"))
        .with_hint("leave --security-opt label= out, or build on a kernel with SELinux");
  if (!support.selinux || support.process_label.empty()) return;
  labels.writes.push_back(
      {"/proc/self/attr/exec", changed_label(support.process_label, options, false), !options.empty()});
  if (!support.file_label.empty()) labels.mount_context = changed_label(support.file_label, options, true);
}

}  // namespace

LabelSupport detect_labels(const std::string& root) {
  LabelSupport support;
  detect_apparmor(root, support);
  detect_selinux(root, support);
  return support;
}

std::string default_apparmor_profile() {
  std::string text = cat("profile ", kDefaultProfile, " flags=(attach_disconnected,mediate_deleted) {\n");
  for (const char* allowed : {"network", "capability", "file", "umount", "signal (receive) peer=unconfined"})
    text += cat("  ", allowed, ",\n");
  text += cat("  signal (send,receive) peer=", kDefaultProfile, ",\n");
  text += cat("  ptrace (trace,read,tracedby,readby) peer=", kDefaultProfile, ",\n");
  // The kernel's settings, whoever mounted them, and mounts, which could bring them back.
  for (const char* denied :
       {"mount", "/proc/* w", "/proc/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9]*}/** w",
        "/proc/sys/** w", "/proc/sysrq-trigger rwklx", "/proc/kcore rwklx", "/sys/[^f]*/** wklx", "/sys/f[^s]*/** wklx",
        "/sys/fs/[^c]*/** wklx", "/sys/fs/c[^g]*/** wklx", "/sys/fs/cg[^r]*/** wklx", "/sys/firmware/** rwklx",
        "/sys/devices/virtual/powercap/** rwklx", "/sys/kernel/security/** rwklx"})
    text += cat("  deny ", denied, ",\n");
  return text + "}\n";
}

void load_default_profile(
    LabelSupport& support,
    const std::function<int(const std::vector<std::string>& argv, const std::string& input)>& run) {
  if (!support.apparmor || support.has_default_profile) return;
  support.has_default_profile = run({"apparmor_parser", "--replace", "--skip-cache"}, default_apparmor_profile()) == 0;
}

StepLabels choose_labels(const LabelSupport& support, const Security& security, bool insecure) {
  StepLabels labels;
  if (insecure) return labels;
  choose_apparmor(support, security, labels);
  choose_selinux(support, security, labels);
  return labels;
}

}  // namespace cbuild::sandbox::confine
