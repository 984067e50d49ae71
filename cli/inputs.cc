// SPDX-License-Identifier: Apache-2.0
#include "cli/inputs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "frontend/ignore_file.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMaxDockerfile = 64u << 20;
constexpr std::size_t kMaxIgnoreFile = 8u << 20;
constexpr std::string_view kLayoutScheme = "oci-layout://";

std::string absolute(const std::string& path, const std::string& what) {
  char buffer[PATH_MAX];
  if (realpath(path.c_str(), buffer) == nullptr) {
    const int err = errno;
    if (err == ENOENT) throw Error(ErrorCode::usage, cat(what, " ", path, " does not exist"));
    throw_errno(err, cat(what, " ", path));
  }
  return buffer;
}

bool is_directory(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

std::shared_ptr<const SourceText> read_dockerfile(const BuildOptions& options, const std::string& context,
                                                  std::string& path) {
  if (options.file == "-" || (options.file.empty() && context.empty()))
    return std::make_shared<SourceText>("Dockerfile", sys::read_all(STDIN_FILENO, kMaxDockerfile));
  if (options.file.starts_with("http://") || options.file.starts_with("https://"))
    throw Error(ErrorCode::usage, cat("-f ", options.file, ": a Dockerfile by URL is not read"))
        .with_hint("download it, or pipe it in with -f -");
  path = options.file.empty() ? cat(context, "/Dockerfile") : options.file;
  auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  if (!fd && options.file.empty()) {
    path = cat(context, "/dockerfile");
    fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd)
      throw Error(ErrorCode::not_found, cat("no Dockerfile in ", context))
          .with_hint("name it with -f, or give another context directory");
  }
  if (!fd) throw Error(ErrorCode::not_found, cat("Dockerfile ", path, " does not exist"));
  if (S_ISDIR(sys::stat_fd(fd->get()).st_mode)) throw Error(ErrorCode::input, cat(path, " is a directory, not a Dockerfile"));
  return std::make_shared<SourceText>(base_name(path), sys::read_all(fd->get(), kMaxDockerfile));
}

std::vector<std::string> read_ignore(const std::string& path, bool& found) {
  const auto fd = sys::try_open_at(AT_FDCWD, path, O_RDONLY);
  found = fd.has_value();
  return fd ? frontend::parse_ignore_file(sys::read_all(fd->get(), kMaxIgnoreFile)) : std::vector<std::string>{};
}

/// `name=value` contexts: local directories become "local:/absolute", layouts get absolute paths.
std::string resolve_context(const std::string& name, const std::string& value) {
  if (value.starts_with(kLayoutScheme)) {
    const std::string rest = value.substr(kLayoutScheme.size());
    std::size_t end = rest.rfind('@');
    const std::size_t slash = rest.rfind('/');
    if (end == std::string::npos) end = rest.rfind(':');
    if (end == std::string::npos || (slash != std::string::npos && end < slash)) end = rest.size();
    return cat(kLayoutScheme, absolute(rest.substr(0, end), cat("build context ", name, ":")), rest.substr(end));
  }
  if (value.find("://") != std::string::npos || value.starts_with("git@")) return value;
  const std::string path = absolute(value.starts_with("local:") ? value.substr(6) : value, cat("build context ", name, ":"));
  if (!is_directory(path)) throw Error(ErrorCode::usage, cat("build context ", name, ": ", path, " is no directory"));
  return cat("local:", path);
}

}  // namespace

BuildInputs read_inputs(const BuildOptions& options) {
  BuildInputs inputs;
  if (options.context != "-") {
    inputs.context_path = absolute(options.context, "context");
    if (!is_directory(inputs.context_path))
      throw Error(ErrorCode::usage, cat("context ", options.context, " is no directory"));
  } else if (options.file == "-") {
    throw Error(ErrorCode::usage, "the context and the Dockerfile cannot both come from stdin");
  }
  std::string& path = inputs.dockerfile_path;
  inputs.dockerfile = read_dockerfile(options, inputs.context_path, path);
  bool found = false;
  if (!path.empty()) inputs.ignore = read_ignore(cat(path, ".dockerignore"), found);
  if (!found && !inputs.context_path.empty()) inputs.ignore = read_ignore(cat(inputs.context_path, "/.dockerignore"), found);
  return inputs;
}

frontend::LowerOptions lower_options(const BuildOptions& options, const BuildInputs& inputs) {
  frontend::LowerOptions lower;
  lower.build_args = options.build_args;
  lower.labels = options.labels;
  for (const auto& [name, value] : options.build_contexts) lower.named_contexts[name] = resolve_context(name, value);
  lower.context_path = inputs.context_path;
  lower.context_ignore = inputs.ignore;
  if (!inputs.dockerfile_path.empty() && !inputs.context_path.empty())
    lower.stage_ignore = [path = inputs.dockerfile_path](const std::string& stage) -> std::optional<std::vector<std::string>> {
      bool found = false;
      std::vector<std::string> patterns = read_ignore(cat(path, ".dockerignore.", stage), found);
      return found ? std::optional(std::move(patterns)) : std::nullopt;
    };
  lower.named_context_ignore = [](const std::string& directory) {
    bool found = false;
    return read_ignore(cat(directory, "/.dockerignore"), found);
  };
  lower.dockerfile_name = inputs.dockerfile->name();
  lower.build_platform = oci::host_platform();
  lower.target_platform = options.platform.value_or(lower.build_platform);
  lower.platform_given = options.platform.has_value();
  lower.no_cache = options.no_cache;
  lower.no_cache_filter = options.no_cache_filter;
  lower.network = options.network;
  lower.allow = options.allow;
  lower.extra_hosts = options.extra_hosts;
  lower.ulimits = options.ulimits;
  lower.shm_size = options.shm_size;
  lower.cgroup_parent = options.cgroup_parent;
  lower.step_timeout_ns = options.step_timeout_ns;
  lower.step_retries = options.step_retries;
  return lower;
}

}  // namespace cbuild::cli
