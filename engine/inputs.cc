// SPDX-License-Identifier: Apache-2.0
// Finds and reads the inputs of a build: the context, the Dockerfile in it or elsewhere, the ignore file that counts.
// Local files are read where they lie; everything else becomes a source op first (remote_contexts), so that a
// Dockerfile in a repository is read from the same tree that the steps get. The result turns into the options of
// lowering.
#include "engine/inputs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/words.h"
#include "engine/remote.h"
#include "engine/request/source_redirect.h"
#include "frontend/stages/lower_remote.h"
#include "frontend/text/ignore_file.h"

namespace cbuild::engine {
namespace {

constexpr std::size_t kMaxDockerfile = 64u << 20;
constexpr std::size_t kMaxIgnoreFile = 8u << 20;
constexpr std::size_t kMaxLockFile = 8u << 20;

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

/// BUILDKIT_CONTEXT_KEEP_GIT_DIR, as far as it is a truth value.
bool keeps_git_dir(const InputSettings& settings) {
  const auto given = settings.build_args.find("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
  return given != settings.build_args.end() && parse_bool(given->second).value_or(false);
}

using DockerfileText = std::shared_ptr<const SourceText>;

DockerfileText make_text(const std::string& path, std::string text) {
  return std::make_shared<SourceText>(base_name(path), std::move(text));
}

constexpr std::array kDockerfileNames = {"Dockerfile", "dockerfile", "Containerfile"};

bool is_below(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.starts_with(directory + "/");
}

std::string real_path(const std::string& path) {
  char buffer[PATH_MAX];
  return realpath(path.c_str(), buffer) == nullptr ? std::string() : std::string(buffer);
}

/// Who made the context need not be who builds it: the file behind a link in it would be shown in messages and steps.
void check_link(const std::string& path, const std::string& context) {
  if (context.empty() || !is_below(real_path(dir_name(path)), context)) return;
  const std::string target = real_path(path);
  if (target.empty() || is_below(target, context)) return;
  throw Error(ErrorCode::input, cat("Dockerfile ", path, " is a link that leads out of the build context"))
      .with_hint("name the file itself with -f");
}

DockerfileText read_local_file(const std::string& path, const std::string& context, sys::Pipes pipes) {
  check_link(path, context);
  auto text = sys::try_read_plain(AT_FDCWD, path, kMaxDockerfile, pipes);
  if (!text) throw Error(ErrorCode::not_found, cat("Dockerfile ", path, " does not exist"));
  return make_text(path, std::move(*text));
}

/// Looks for each name where `file` is empty; `path` becomes the one that was found.
DockerfileText read_local_dockerfile(const std::string& file, BuildInputs& inputs) {
  const std::string& context = inputs.context_path;
  inputs.dockerfile_path = file;
  if (!file.empty()) return read_local_file(file, context, sys::Pipes::taken);
  std::string found;
  for (const char* name : kDockerfileNames) {
    if (!sys::try_stat_at(AT_FDCWD, cat(context, "/", name))) continue;
    if (found.empty())
      found = name;
    else if (to_lower(found) != to_lower(name))
      inputs.notes.push_back(cat("there is also a ", name, "; ", found, " is used"));
  }
  if (found.empty())
    throw Error(ErrorCode::not_found, cat("no Dockerfile in ", context))
        .with_hint("name it with -f, or give another context directory");
  inputs.dockerfile_path = cat(context, "/", found);
  return read_local_file(inputs.dockerfile_path, context, sys::Pipes::refused);
}

/// The name of a context that is not a directory in messages.
std::string name_of(const Context& context) {
  const auto* remote = std::get_if<UrlContext>(&context);
  return remote == nullptr ? "the archive on stdin" : remote->url;
}

DockerfileText read_remote_dockerfile(const InputSettings& settings, RemoteContexts& remote, BuildInputs& inputs) {
  const solver::Op& context = *inputs.context_source;
  const std::string file = spelling(settings.dockerfile);
  std::vector<std::string> names = {file};
  if (file.empty()) names.assign(kDockerfileNames.begin(), kDockerfileNames.end());
  if (is_dockerfile_only(context)) names = {"context"};
  for (const std::string& name : names)
    if (auto text = remote.read(context, name, kMaxDockerfile)) {
      if (!settings.lock_file && !is_dockerfile_only(context)) {
        inputs.lock_name = cat(base_name(name), kLockSuffix);
        inputs.lock = remote.read(context, cat(name, kLockSuffix), kMaxLockFile);
      }
      return make_text(name, std::move(*text));
    }
  throw Error(ErrorCode::not_found, cat("no ", names.front(), " in ", name_of(settings.context)))
      .with_hint("name it with -f; an absolute path is a file of this machine");
}

RemoteContexts& need(const ContextReader& remote, const std::string& what) {
  if (remote) return remote();
  throw Error(ErrorCode::usage, cat(what, " is not on this machine's disk"))
      .with_hint("this command needs a local directory");
}

/// A stream as the context: an archive, or the Dockerfile with no context at all.
void read_stream(const InputSettings& settings, int fd, const ContextReader& remote, BuildInputs& inputs) {
  if (std::holds_alternative<StreamDockerfile>(settings.dockerfile))
    throw Error(ErrorCode::usage, "the context and the Dockerfile cannot both come from stdin");
  std::string text;
  inputs.context_source = need(remote, "stdin").from_stream(fd, text, kMaxDockerfile);
  if (inputs.context_source) return;
  if (!std::holds_alternative<DefaultDockerfile>(settings.dockerfile))
    throw Error(ErrorCode::usage, "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
  inputs.dockerfile = make_text("Dockerfile", std::move(text));
}

void read_context(const InputSettings& settings, const ContextReader& remote, BuildInputs& inputs) {
  if (const auto* stream = std::get_if<StreamContext>(&settings.context))
    return read_stream(settings, stream->fd, remote, inputs);
  if (const auto* other = std::get_if<UrlContext>(&settings.context)) {
    inputs.context_source = need(remote, other->url).by_url(other->url, keeps_git_dir(settings));
    return;
  }
  const std::string& path = std::get<DirectoryContext>(settings.context).path;
  inputs.context_path = absolute(path, "context");
  if (!is_directory(inputs.context_path)) throw Error(ErrorCode::usage, cat("context ", path, " is not a directory"));
}

std::vector<std::string> read_ignore(const std::string& path, bool& found) {
  const auto text = sys::try_read_plain(AT_FDCWD, path, kMaxIgnoreFile);
  found = text.has_value();
  return found ? frontend::parse_ignore_file(*text) : std::vector<std::string>{};
}

/// The first that is there of the Dockerfile's own and the context's ignore file. Podman's names count where its name
/// of the Dockerfile was found.
void read_ignore_files(const InputSettings& settings, BuildInputs& inputs) {
  if (const auto* given = std::get_if<GivenDockerfile>(&settings.dockerfile)) {
    if (given->ignore) inputs.ignore = frontend::parse_ignore_file(*given->ignore);
    return;
  }
  const std::string& own = inputs.dockerfile_path;
  const bool podman = std::holds_alternative<DefaultDockerfile>(settings.dockerfile) && own.ends_with("/Containerfile");
  std::vector<std::string> names;
  if (!own.empty()) names.push_back(cat(own, ".dockerignore"));
  if (podman) names.push_back(cat(own, ".containerignore"));
  names.push_back(cat(inputs.context_path, "/.dockerignore"));
  if (podman) names.push_back(cat(inputs.context_path, "/.containerignore"));
  bool found = false;
  for (const std::string& name : names) {
    if (found && name.ends_with("/.containerignore") && sys::try_stat_at(AT_FDCWD, name))
      inputs.notes.push_back("there is also a .containerignore; another ignore file is used");
    if (!found) inputs.ignore = read_ignore(name, found);
  }
}

/// The lock file that was asked for, or the one next to a Dockerfile of this machine.
void read_lock(const InputSettings& settings, BuildInputs& inputs) {
  if (inputs.lock || (settings.lock_file && settings.lock_file->empty())) return;
  if (!settings.lock_file && inputs.dockerfile_path.empty()) return;
  inputs.lock_path = settings.lock_file.value_or(cat(inputs.dockerfile_path, kLockSuffix));
  inputs.lock_name = base_name(inputs.lock_path);
  inputs.lock = sys::try_read_plain(AT_FDCWD, inputs.lock_path, kMaxLockFile,
                                    settings.lock_file ? sys::Pipes::taken : sys::Pipes::refused);
}

/// Of a context that did not bring it.
DockerfileText read_dockerfile(const InputSettings& settings, const ContextReader& remote, BuildInputs& inputs) {
  if (const auto* stream = std::get_if<StreamDockerfile>(&settings.dockerfile))
    return make_text("Dockerfile", sys::read_all(stream->fd, kMaxDockerfile));
  if (const auto* other = std::get_if<UrlDockerfile>(&settings.dockerfile))
    return make_text("Dockerfile", need(remote, other->url).read_url(other->url, kMaxDockerfile));
  if (const auto* given = std::get_if<GivenDockerfile>(&settings.dockerfile))
    return make_text(given->name, given->text);
  const std::string file = spelling(settings.dockerfile);
  if (inputs.context_source && !file.starts_with('/'))
    return read_remote_dockerfile(settings, need(remote, name_of(settings.context)), inputs);
  return read_local_dockerfile(file, inputs);
}

/// `name=value` contexts: local directories become "local:/absolute", layouts get absolute paths.
std::string resolve_context(const std::string& name, const std::string& value, const SourcePolicy* policy) {
  if (value.starts_with(kLayoutScheme)) {
    const std::string rest = value.substr(kLayoutScheme.size());
    std::size_t end = rest.rfind('@');
    const std::size_t slash = rest.rfind('/');
    if (end == std::string::npos) end = rest.rfind(':');
    if (end == std::string::npos || (slash != std::string::npos && end < slash)) end = rest.size();
    return cat(kLayoutScheme, absolute(rest.substr(0, end), cat("build context ", name, ":")), rest.substr(end));
  }
  if (value.find("://") != std::string::npos || (!is_directory(value) && RemoteContexts::is_remote(value)))
    return value;
  const std::string path =
      absolute(value.starts_with("local:") ? value.substr(6) : value, cat("build context ", name, ":"));
  if (!is_directory(path))
    throw Error(ErrorCode::usage, cat("build context ", name, ": ", path, " is not a directory"));
  if (policy != nullptr) permit_local(*policy, name);
  return cat("local:", path);
}

}  // namespace

BuildInputs read_inputs(const InputSettings& settings, const SourcePolicy* policy, const ContextReader& remote) {
  BuildInputs inputs;
  read_context(settings, remote, inputs);
  if (policy != nullptr && !inputs.context_source)
    for (const char* name : {"context", "dockerfile"}) permit_local(*policy, name);
  if (!inputs.dockerfile) inputs.dockerfile = read_dockerfile(settings, remote, inputs);
  read_lock(settings, inputs);
  if (inputs.context_path.empty()) return inputs;
  read_ignore_files(settings, inputs);
  return inputs;
}

frontend::ParseOptions parse_options(const BuildInputs& inputs, frontend::Checks& checks) {
  frontend::ParseOptions options;
  options.checks = &checks;
  if (inputs.context_path.empty()) return options;
  options.include = [context = inputs.context_path](const std::string& path) -> std::optional<std::string> {
    const UniqueFd root = sys::open_at(AT_FDCWD, context, O_PATH | O_DIRECTORY);
    const auto file = sys::try_open_in_root(root.get(), path, O_RDONLY | O_NONBLOCK);
    if (!file) return std::nullopt;
    if (!S_ISREG(sys::stat_fd(file->get()).st_mode)) throw Error(ErrorCode::input, "not a regular file");
    return sys::read_all(file->get(), kMaxDockerfile);
  };
  return options;
}

frontend::Checks make_checks(const InputSettings& settings) {
  const auto given = settings.build_args.find("BUILDKIT_DOCKERFILE_CHECK");
  if (given == settings.build_args.end()) return {};
  try {
    return frontend::Checks(frontend::parse_check_options(given->second));
  } catch (const Error& error) {
    throw Error(ErrorCode::usage, cat("failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: ", error.what()))
        .with_hint(error.hint());
  }
}

frontend::LowerOptions lower_options(const BuildRequest& request, const BuildInputs& inputs) {
  frontend::LowerOptions lower;
  lower.build_args = request.inputs.build_args;
  lower.labels = request.inputs.labels;
  for (const auto& [name, value] : request.inputs.named_contexts)
    lower.named_contexts[name] = resolve_context(name, value, request.sources.policy.get());
  lower.context_path = inputs.context_path;
  lower.context_ignore = inputs.ignore;
  if (!inputs.dockerfile_path.empty() && !inputs.context_path.empty())
    lower.callbacks.stage_ignore =
        [path = inputs.dockerfile_path](const std::string& stage) -> std::optional<std::vector<std::string>> {
      bool found = false;
      std::vector<std::string> patterns = read_ignore(cat(path, ".dockerignore.", stage), found);
      return found ? std::optional(std::move(patterns)) : std::nullopt;
    };
  lower.context_source = inputs.context_source;
  lower.callbacks.named_context_ignore = [](const std::string& directory) {
    bool found = false;
    return read_ignore(cat(directory, "/.dockerignore"), found);
  };
  lower.build_platform = oci::host_platform();
  lower.platforms = wanted_platforms(request.inputs);
  lower.target_platform = lower.platforms.front();
  lower.platform_given = !request.inputs.platforms.empty();
  lower.multi_platform = is_multi_platform(request.inputs);
  lower.scan_extras = request.outputs.attestations.sbom.has_value();
  lower.no_cache = request.caches.none;
  lower.no_cache_filter = request.caches.ignored;
  lower.only_used_args = request.caches.only_used_args;
  lower.network = request.steps.network;
  lower.allow = request.steps.allow;
  lower.security = sandbox::confine::key_texts(request.steps.security);
  lower.extra_hosts = request.steps.extra_hosts;
  lower.ulimits = request.steps.ulimits;
  lower.shm_size = request.steps.shm_size;
  lower.cgroup_parent = request.steps.cgroup_parent;
  lower.step_timeout_ns = request.steps.timeout_ns;
  lower.step_retries = request.steps.retries;
  return lower;
}

}  // namespace cbuild::engine
