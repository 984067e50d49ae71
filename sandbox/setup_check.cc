// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/setup.h"

namespace cbuild::sandbox::setup {
namespace {

struct NamedLimit {
  const char* name;
  int resource;
};
constexpr NamedLimit kLimits[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

int limit_of(const std::string& name) {
  for (const NamedLimit& limit : kLimits)
    if (iequals(name, limit.name)) return limit.resource;
  throw Error(ErrorCode::input, cat("unknown ulimit ", go_quote(name)));
}

std::uint64_t limit_value(const Ulimit& limit, std::int64_t value) {
  if (value < -1) throw Error(ErrorCode::input, cat("ulimit ", limit.name, ": bad value ", value));
  return value == -1 ? RLIM_INFINITY : static_cast<std::uint64_t>(value);
}

void check_text(const std::string& text, const char* what) {
  if (text.find('\0') != std::string::npos) throw Error(ErrorCode::input, cat(what, " holds a NUL byte"));
}

void check_mount(const Mount& mount) {
  check_text(mount.target, "mount target");
  if (mount.target.empty() || mount.target[0] != '/' || clean_path(mount.target) == "/")
    throw Error(ErrorCode::input, cat("invalid mount target ", go_quote(mount.target)));
  const auto* bind = std::get_if<BindSource>(&mount.source);
  if (bind != nullptr && bind->fd < 0) throw Error(ErrorCode::internal, cat("mount ", mount.target, ": no source"));
  const auto* overlay = std::get_if<OverlaySource>(&mount.source);
  if (overlay == nullptr) return;
  check_text(overlay->path, "mount source");
  if (overlay->lower_fds.empty()) throw Error(ErrorCode::internal, cat("mount ", mount.target, ": no source"));
}

void check_mode(const Spec& spec, Mode mode) {
  if (mode == Mode::none)
    throw Error(ErrorCode::unsupported, "this machine offers no way to run a command")
        .with_hint("run as root, allow user namespaces, or run the container with more rights");
  if (!spec.bundle.empty() && mode != Mode::root)
    throw Error(ErrorCode::unsupported, cat("an OCI runtime cannot run steps in mode ", to_string(mode)))
        .with_hint("build as root, or without --runtime");
  if (mode != Mode::chroot) return;
  if (!spec.lower_fds.empty() || !spec.mounts.empty())
    throw Error(ErrorCode::unsupported, "without mount rights a step cannot have mounts");
  if (spec.network == NetworkMode::none || spec.network_fd >= 0)
    throw Error(ErrorCode::unsupported, "without namespaces a step cannot be cut off from the network");
}

}  // namespace

LimitResource limit_step(const Ulimit& limit) {
  return {limit_of(limit.name), limit_value(limit, limit.soft), limit_value(limit, limit.hard),
          cat("warning: ulimit ", limit.name, "=", limit.soft, ":", limit.hard,
              " is above what this process may set; the limit of the builder stays\n")};
}

void validate(const Spec& spec, Mode mode) {
  check_mode(spec, mode);
  if (spec.argv.empty() || spec.argv[0].empty()) throw Error(ErrorCode::input, "no command to run");
  for (const std::string& argument : spec.argv) check_text(argument, "command");
  for (const std::string& variable : spec.environment) check_text(variable, "environment");
  check_text(spec.working_dir, "working directory");
  check_text(spec.hostname, "hostname");
  if (spec.working_dir.empty() || spec.working_dir[0] != '/')
    throw Error(ErrorCode::input, cat("working directory ", go_quote(spec.working_dir), " is not absolute"));
  if (spec.upper_fd < 0) throw Error(ErrorCode::internal, "no upper directory");
  if (spec.work_fd < 0 && (!spec.lower_fds.empty() || spec.skeleton_fd >= 0))
    throw Error(ErrorCode::internal, "no overlay work directory");
  for (const Mount& mount : spec.mounts) check_mount(mount);
  for (const Ulimit& limit : spec.ulimits) limit_step(limit);
  for (const DeviceNode& node : spec.devices)
    if (node.path.rfind("/dev/", 0) != 0 || clean_path(node.path) != node.path)
      throw Error(ErrorCode::input, cat("device ", go_quote(node.path), " is not below /dev"));
}

}  // namespace cbuild::sandbox::setup
