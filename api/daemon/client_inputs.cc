// SPDX-License-Identifier: Apache-2.0
// The attributes of the frontend dockerfile.v0 that name inputs. A directory of the client becomes a copy in the store,
// which is filled when the graph says what is read of it; the Dockerfile and its ignore file are asked for by name. An
// input that is a definition of ours ("cbuild://REF") is an earlier solve of the same client.
#include "api/daemon/client_inputs.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "api/daemon/image_layouts.h"
#include "api/llb/definition_graph.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "engine/remote_contexts.h"
#include "oci/platform.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kMostDockerfile = 64u << 20;
constexpr std::uint64_t kMostUpload = std::uint64_t{1} << 40;
constexpr std::string_view kUploadUrl = "http://buildkit-session/";
constexpr std::string_view kLocal = "local:";
constexpr std::string_view kInput = "input:";
constexpr std::string_view kImage = "docker-image://";
constexpr std::string_view kLayout = "oci-layout://";
constexpr std::string_view kEarlier = "cbuild://";

std::string or_else(std::string value, const char* otherwise) {
  return value.empty() ? std::string(otherwise) : std::move(value);
}

/// A path in a context: an absolute one would be a file of this machine.
std::string below_root(const std::string& path) {
  const std::size_t begin = path.find_first_not_of('/');
  return begin == std::string::npos ? "Dockerfile" : path.substr(begin);
}

/// "# syntax=docker/dockerfile": the built-in frontend is taken for every version of that image.
void check_frontend(const std::string& frontend, const Attributes& attributes) {
  if (frontend == "dockerfile.v0") return;
  if (frontend != "gateway.v0") throw Error(ErrorCode::usage, cat("unknown frontend ", frontend));
  const std::string source = attribute(attributes, "source");
  for (const char* known : {"docker/dockerfile", "docker.io/docker/dockerfile"})
    if (source.starts_with(known)) return;
  throw Error(ErrorCode::unsupported, cat("frontend image ", source, ": only docker/dockerfile is built in"));
}

/// The id in a definition that this builder has given out itself; empty for another one.
std::string earlier_id(const pb::Definition& definition) {
  pb::Op op;
  if (definition.def_size() == 0 || !op.ParseFromString(definition.def(0))) return {};
  const std::string& name = op.source().identifier();
  return name.starts_with(kEarlier) ? name.substr(kEarlier.size()) : std::string();
}

/// Requests for different parts of a directory have copies of their own: nothing else may be in them.
std::string part_name(const LocalRequest& wanted) {
  CanonicalWriter parts;
  for (const auto* list : {&wanted.include_patterns, &wanted.exclude_patterns, &wanted.follow_paths}) {
    parts.text(std::to_string(list->size()));
    for (const std::string& text : *list) parts.text(text);
  }
  return sha256(parts.text(wanted.unique).bytes()).hex();
}

}  // namespace

ClientInputs::ClientInputs(DaemonState& state, const ClientQuestion& question, LinkedLayout linked)
    : state_(state),
      question_(question),
      linked_(std::move(linked)),
      attributes_(question.asked.frontend_opt().begin(), question.asked.frontend_opt().end()),
      contexts_(state.root(), question.build.status(), question.build.cancel()) {}

void ClientInputs::describe(engine::BuildRequest& request) {
  granted_ = request.steps.allow;
  if (question_.asked.frontend().empty()) return describe_definition(request);
  check_frontend(question_.asked.frontend(), attributes_);
  describe_dockerfile(request);
}

std::shared_ptr<ClientSession> ClientInputs::session_of(const std::string& directory, const std::string& named) {
  const std::string id = named.empty() ? attribute(attributes_, cat("local-sessionid:", directory)) : named;
  if (!id.empty()) return state_.sessions.wait(id, [this] { return question_.build.cancel().cancelled(); });
  if (!question_.session) throw Error(ErrorCode::usage, cat("the directory ", directory, " needs a session"));
  return question_.session;
}

void ClientInputs::describe_definition(engine::BuildRequest& request) {
  request.inputs.graph = [this](const engine::GraphSources& sources) {
    LlbOptions options;
    options.platform = oci::host_platform();
    options.allow = granted_;
    options.callbacks.local = [this](const LocalRequest& wanted) {
      const std::string path = contexts_.open(session_of(wanted.name, wanted.session), wanted.name, part_name(wanted));
      SyncRequest sync;
      sync.include = wanted.include_patterns;
      sync.exclude = wanted.exclude_patterns;
      sync.follow_paths = wanted.follow_paths;
      contexts_.fill(path, std::move(sync));
      return path;
    };
    LlbResult result;
    result.definition = &question_.asked.definition();
    result.platform = options.platform;
    return lower_definitions({result}, options, sources);
  };
}

void ClientInputs::describe_dockerfile(engine::BuildRequest& request) {
  read_frontend_options(attributes_, request);
  const std::string remote = attribute(attributes_, "context");
  request.inputs.context_name =
      or_else(attribute(attributes_, "vcs:localdir:context"), remote.empty() ? "context" : remote.c_str());
  const std::string context_name = or_else(attribute(attributes_, "contextkey"), "context");
  if (remote.empty())
    request.inputs.context = engine::DirectoryContext{contexts_.open(session_of(context_name, {}), context_name, {})};
  else
    describe_remote_context(remote, request);
  if (const std::string file = attribute(attributes_, "filename");
      remote.empty() || attributes_.contains("dockerfilekey"))
    request.inputs.dockerfile = read_dockerfile(remote.empty() ? context_name : std::string());
  else if (!file.empty())
    request.inputs.dockerfile = engine::NamedDockerfile{below_root(file)};
  for (const auto& [name, value] : with_prefix(attributes_, "context:"))
    request.inputs.named_contexts[name] = named_context(value);
  request.inputs.fill_directory = [this](const engine::DirectoryRead& read) { contexts_.fill(read); };
}

void ClientInputs::describe_remote_context(const std::string& context, engine::BuildRequest& request) {
  if (!context.starts_with(kUploadUrl)) {
    if (!engine::RemoteContexts::is_remote(context))
      throw Error(ErrorCode::usage, cat("unsupported context ", context));
    request.inputs.context = engine::UrlContext{context};
    return;
  }
  upload_ = sys::open_at(AT_FDCWD, state_.root(), O_TMPFILE | O_RDWR, 0600);
  session_of("context", {})
      ->pull_upload(context.substr(kUploadUrl.size()), upload_.get(), kMostUpload, &question_.build.cancel());
  if (lseek(upload_.get(), 0, SEEK_SET) < 0) throw_errno(errno, "seek in an upload");
  request.inputs.context = engine::StreamContext{upload_.get()};
}

/// `context_name`: of the directory whose ignore file counts where the Dockerfile has none of its own; empty: none.
engine::GivenDockerfile ClientInputs::read_dockerfile(const std::string& context_name) {
  const std::string name = or_else(attribute(attributes_, "filename"), "Dockerfile");
  const std::string directory = or_else(attribute(attributes_, "dockerfilekey"), "dockerfile");
  const std::string own_ignore = cat(name, ".dockerignore");
  const CancelSource* cancel = &question_.build.cancel();
  const auto files =
      session_of(directory, {})->read_files(directory, {name, own_ignore, to_lower(name)}, kMostDockerfile, cancel);
  auto found = files.find(name);
  if (found == files.end() && base_name(name) == "Dockerfile") found = files.find(to_lower(name));
  if (found == files.end())
    throw Error(ErrorCode::not_found, cat("failed to read dockerfile: open ", name, ": no such file or directory"));
  engine::GivenDockerfile given{base_name(name), found->second};
  if (const auto ignore = files.find(own_ignore); ignore != files.end())
    given.ignore = ignore->second;
  else if (!context_name.empty())
    given.ignore = session_of(context_name, {})->read_file(context_name, ".dockerignore", kMostDockerfile, cancel);
  return given;
}

std::string ClientInputs::named_context(const std::string& value) {
  if (value.starts_with(kInput)) return cat("oci-layout://", layout_of(value.substr(kInput.size())));
  if (value.starts_with(kLayout)) return client_layout(value.substr(kLayout.size()));
  if (value.starts_with(kImage) || engine::RemoteContexts::is_remote(value)) return value;
  // A path would be one of this machine, which is not the client's.
  if (!value.starts_with(kLocal)) throw Error(ErrorCode::usage, cat("unsupported context source ", value));
  const std::string directory = value.substr(kLocal.size());
  return cat(kLocal, contexts_.open(session_of(directory, {}), directory, {}));
}

std::string ClientInputs::layout_of(const std::string& input) {
  const auto found = question_.asked.frontend_inputs().find(input);
  const std::string id = found == question_.asked.frontend_inputs().end() ? std::string() : earlier_id(found->second);
  if (id.empty()) throw Error(ErrorCode::unsupported, cat("input ", input, " is not the result of an earlier solve"));
  return cat(linked_layouts_.emplace_back(linked_(id)).path(), "/image");
}

/// "NAME[:TAG]@DIGEST" of a content store of the client.
std::string ClientInputs::client_layout(const std::string& text) {
  const std::size_t at = text.find('@');
  const auto digest = at == std::string::npos ? std::nullopt : Digest::parse(text.substr(at + 1));
  if (!digest) throw Error(ErrorCode::usage, cat("oci-layout://", text, ": not NAME@DIGEST"));
  layouts_.emplace_back(sys::open_at(AT_FDCWD, state_.workspace.path(), O_PATH | O_DIRECTORY).get(), "client-layout-");
  const std::string name = text.substr(0, text.find_first_of(":@"));
  const CancelSource* cancel = &question_.build.cancel();
  fetch_layout(*session_of(name, {})->content(name, cancel), *digest, layouts_.back().path());
  return cat(kLayout, layouts_.back().path(), "@", digest->str());
}

}  // namespace cbuild::api
