// SPDX-License-Identifier: Apache-2.0
// Vertices as a provenance of mode max lists them. A reader of such lists knows BuildKit's LLB, so ops are written with
// its names, numbers and rules: fields at their default are left out, inputs are numbers, -1 stands for none, and each
// source of a copy is an action of its own on the result of the one before. Fields that LLB does not have (files of a
// heredoc) have names of their own.
#include "engine/llb_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "oci/platform.h"
#include "supply/redact.h"

namespace cbuild::engine {
namespace {

using LlbJson = nlohmann::ordered_json;

enum MountNumber { kBindNumber, kSecretNumber, kSshNumber, kCacheNumber, kTmpfsNumber };  // pb.MountType

/// As protobuf's JSON: a field at its default is left out.
template <typename T>
void put(LlbJson& json, const char* name, const T& value) {
  if (value != T{}) json[name] = value;
}

LlbJson platform_json(const std::string& text) {
  const auto platform = oci::parse_platform(text);
  if (!platform) return nullptr;
  LlbJson out = {{"Architecture", platform->architecture}, {"OS", platform->os}};
  put(out, "Variant", platform->variant);
  return out;
}

/// The number of each input after those of the empty root are left out; -1 for those.
class InputNumbers {
 public:
  explicit InputNumbers(const solver::Vertex& vertex) {
    std::int64_t next = 0;
    for (const solver::VertexId input : vertex.inputs) numbers_.push_back(input == solver::kNoInput ? -1 : next++);
    count_ = next;
  }
  std::int64_t of(int index) const {
    const auto at = static_cast<std::size_t>(index);
    return index < 0 || at >= numbers_.size() ? -1 : numbers_[at];
  }
  std::int64_t count() const { return count_; }

 private:
  std::vector<std::int64_t> numbers_;
  std::int64_t count_ = 0;
};

LlbJson source_op(std::string identifier, LlbJson attributes) {
  LlbJson source = {{"identifier", std::move(identifier)}};
  if (!attributes.empty()) source["attrs"] = std::move(attributes);
  return {{"source", std::move(source)}};
}

LlbJson git_op(const solver::GitSource& git) {
  const std::string url = supply::without_credentials(git.remote);
  LlbJson attributes = {{"git.fullurl", url}, {"git.checksum", git.commit}};
  if (git.keep_git_dir) attributes["git.keepgitdir"] = "true";
  if (!git.submodules) attributes["git.skipsubmodules"] = "true";
  const std::size_t scheme = url.find("://");
  std::string identifier = cat("git://", scheme == std::string::npos ? url : url.substr(scheme + 3));
  if (!git.ref.empty() || !git.subdir.empty()) identifier += cat("#", git.ref);
  if (!git.subdir.empty()) identifier += cat(":", git.subdir);
  return source_op(std::move(identifier), std::move(attributes));
}

LlbJson input_json(std::int64_t number) {
  LlbJson out = LlbJson::object();
  put(out, "input", number);
  return out;
}

LlbJson mount_head(std::int64_t input, const std::string& source, const std::string& target) {
  LlbJson out = LlbJson::object();
  put(out, "input", input);
  if (source != "/") put(out, "selector", source);
  out["dest"] = target;
  out["output"] = -1;
  return out;
}

template <typename Mount>
LlbJson access_json(const Mount& mount) {
  LlbJson out = {{"ID", mount.id}};
  put(out, "uid", mount.uid);
  put(out, "gid", mount.gid);
  put(out, "mode", mount.mode);
  put(out, "optional", !mount.required);
  return out;
}

LlbJson secret_variable(const solver::SecretMount& secret) {
  LlbJson out = {{"ID", secret.id}, {"name", secret.env_name}};
  put(out, "optional", !secret.required);
  return out;
}

LlbJson user_json(const std::string& name) {
  if (const auto number = parse_int(name)) return {{"User", {{"byId", *number}}}};
  return {{"User", {{"byName", {{"name", name}}}}}};
}
void put_owner(LlbJson& fields, const std::string& owner) {
  if (owner.empty()) return;
  const std::size_t colon = owner.find(':');
  fields["owner"] = {{"user", user_json(owner.substr(0, colon))}};
  if (colon != std::string::npos) fields["owner"]["group"] = user_json(owner.substr(colon + 1));
}
void put_mode(LlbJson& fields, const std::string& mode) {
  const auto octal = parse_int(mode, 8);
  fields["mode"] = octal.value_or(-1);
  if (!mode.empty() && !octal) fields["modeStr"] = mode;
}

/// Writes an op as the member of "Op" that it is.
struct OpWriter {
  const solver::Vertex& vertex;
  const LlbNames& names;
  InputNumbers inputs{vertex};

  LlbJson operator()(const solver::ImageSource& image) const { return source_op(names.image(image.locator), {}); }

  LlbJson operator()(const solver::LocalSource& local) const {
    LlbJson attributes = {{"local.sharedkeyhint", local.name}};
    if (!local.ignore.empty()) attributes["local.excludepatterns"] = LlbJson(local.ignore).dump();
    return source_op(cat("local://", local.name), std::move(attributes));
  }

  LlbJson operator()(const solver::GitSource& git) const { return git_op(git); }

  LlbJson operator()(const solver::HttpSource& http) const {
    LlbJson attributes = {{"http.checksum", http.content.str()}};
    put(attributes, "http.filename", http.filename);
    return source_op(supply::without_credentials(http.url), std::move(attributes));
  }

  LlbJson operator()(const solver::ExecOp& exec) const {
    LlbJson out = {{"meta", meta(exec)}, {"mounts", mounts(exec)}};
    if (exec.network == NetworkMode::none) out["network"] = 2;
    if (exec.network == NetworkMode::host && !vertex.settings.own_network) out["network"] = 1;
    if (exec.insecure) out["security"] = 1;
    for (const solver::ExecMount& mount : exec.mounts)
      if (const auto* secret = std::get_if<solver::SecretMount>(&mount.what); secret && !secret->env_name.empty())
        out["secretenv"].push_back(secret_variable(*secret));
    for (const std::string& device : exec.devices) out["cdiDevices"].push_back({{"name", device}});
    for (const solver::InlineFile& file : exec.files)
      out["inlineFiles"].push_back({{"path", file.path}, {"mode", file.mode}, {"data", base64_encode(file.content)}});
    return {{"exec", std::move(out)}};
  }

  LlbJson operator()(const solver::FileOp& file) const {
    LlbJson actions = LlbJson::array();
    for (const solver::FileAction& action : file.actions)
      std::visit([&](const auto& one) { add_action(actions, one); }, action);
    if (!actions.empty()) actions.back()["output"] = 0;
    return {{"file", {{"actions", std::move(actions)}}}};
  }

  LlbJson operator()(const solver::MergeOp&) const {
    LlbJson merged = LlbJson::array();
    for (std::int64_t i = 0; i < inputs.count(); ++i) merged.push_back(input_json(i));
    return {{"merge", {{"inputs", std::move(merged)}}}};
  }

  /// LLB has no operation for it: an output is a number at the reader.
  LlbJson operator()(const solver::OutputOp& output) const {
    return {{"passthrough", {{"id", output.target}, {"outputs", {0}}}}};
  }

  LlbJson operator()(const solver::DiffOp&) const {
    return {{"diff", {{"lower", input_json(inputs.of(0))}, {"upper", input_json(inputs.of(1))}}}};
  }

 private:
  std::vector<std::string> environment(const solver::ExecOp& exec) const {
    std::vector<std::string> out = exec.environment;
    const std::vector<std::string>& unkeyed = vertex.settings.unkeyed_environment;
    out.insert(out.end(), unkeyed.begin(), unkeyed.end());
    for (std::string& variable : out)
      if (const std::size_t equals = variable.find('='); names.is_secret(variable.substr(0, equals)))
        variable = cat(variable.substr(0, equals), "=***");
    return out;
  }

  LlbJson meta(const solver::ExecOp& exec) const {
    LlbJson out = {{"args", exec.argv}};
    put(out, "env", environment(exec));
    out["cwd"] = exec.working_dir;
    put(out, "user", exec.user);
    put(out, "hostname", exec.hostname);
    for (const std::string& host : vertex.settings.extra_hosts)
      if (const std::size_t equals = host.find('='); equals != std::string::npos)
        out["extraHosts"].push_back({{"Host", host.substr(0, equals)}, {"IP", host.substr(equals + 1)}});
    for (const Ulimit& limit : vertex.settings.ulimits)
      out["ulimit"].push_back({{"Name", limit.name}, {"Soft", limit.soft}, {"Hard", limit.hard}});
    out["removeMountStubsRecursive"] = true;
    return out;
  }

  LlbJson mounts(const solver::ExecOp& exec) const {
    LlbJson root = LlbJson::object();
    put(root, "input", inputs.of(0));
    root["dest"] = "/";
    LlbJson out = LlbJson::array({std::move(root)});
    for (const solver::ExecMount& mount : exec.mounts) {
      const auto* secret = std::get_if<solver::SecretMount>(&mount.what);
      if (secret && !secret->as_file) continue;
      out.push_back(std::visit([&](const auto& what) { return mount_json(mount.target, what); }, mount.what));
    }
    return out;
  }

  LlbJson mount_json(const std::string& target, const solver::BindMount& bind) const {
    LlbJson out = mount_head(inputs.of(bind.input), bind.source, target);
    put(out, "readonly", bind.read_only);
    return out;
  }
  LlbJson mount_json(const std::string& target, const solver::CacheMount& cache) const {
    LlbJson out = mount_head(inputs.of(cache.input), cache.source, target);
    put(out, "readonly", cache.read_only);
    out["mountType"] = kCacheNumber;
    out["cacheOpt"] = {{"ID", cache.id}};
    put(out["cacheOpt"], "sharing", static_cast<int>(cache.sharing));  // numbered as ours
    return out;
  }
  LlbJson mount_json(const std::string& target, const solver::TmpfsMount& tmpfs) const {
    LlbJson out = mount_head(-1, "/", target);
    out["mountType"] = kTmpfsNumber;
    out["TmpfsOpt"] = LlbJson::object();
    put(out["TmpfsOpt"], "size", tmpfs.size_bytes);
    return out;
  }
  LlbJson mount_json(const std::string& target, const solver::SecretMount& secret) const {
    LlbJson out = mount_head(-1, "/", target);
    out["mountType"] = kSecretNumber;
    out["secretOpt"] = access_json(secret);
    return out;
  }
  LlbJson mount_json(const std::string& target, const solver::SshMount& ssh) const {
    LlbJson out = mount_head(-1, "/", target);
    out["mountType"] = kSshNumber;
    out["SSHOpt"] = access_json(ssh);
    return out;
  }

  /// Numbers after those of the inputs are the results of earlier actions.
  void add_action(LlbJson& actions, std::int64_t secondary, const char* name, LlbJson fields) const {
    const std::int64_t before = actions.empty() ? inputs.of(0) : inputs.count() + std::int64_t(actions.size()) - 1;
    actions.push_back(
        {{"input", before}, {"secondaryInput", secondary}, {"output", -1}, {"Action", {{name, std::move(fields)}}}});
  }

  void add_action(LlbJson& actions, const solver::CopyAction& copy) const {
    for (const std::string& source : copy.sources) {
      LlbJson fields = {{"src", cat("/", source == "." ? std::string() : source)}, {"dest", copy.destination}};
      put_owner(fields, copy.chown);
      put_mode(fields, copy.chmod);
      put(fields, "followSymlink", copy.manner.follow);
      put(fields, "dirCopyContents", copy.manner.contents);
      put(fields, "attemptUnpackDockerCompatibility", copy.unpack);
      put(fields, "createDestPath", copy.manner.make_parents);
      fields["allowWildcard"] = true;
      put(fields, "allowEmptyWildcard", !copy.manner.match);
      put(fields, "alwaysReplaceExistingDestPaths", copy.manner.replace);
      put(fields, "include_patterns", copy.manner.includes);
      put(fields, "required_paths", copy.manner.needed);
      fields["timestamp"] = copy.mtime_s.value_or(-1);
      put(fields, "exclude_patterns", copy.excludes);
      add_action(actions, inputs.of(copy.input), "copy", std::move(fields));
    }
  }
  void add_action(LlbJson& actions, const solver::MakeFileAction& made) const {
    LlbJson fields = {{"path", made.path}, {"mode", made.mode}, {"data", base64_encode(made.content)}};
    put_owner(fields, made.chown);
    fields["timestamp"] = made.mtime_s.value_or(-1);
    add_action(actions, -1, "mkfile", std::move(fields));
  }
  void add_action(LlbJson& actions, const solver::MakeDirAction& made) const {
    LlbJson fields = {{"path", made.path}, {"mode", made.mode}};
    put(fields, "makeParents", made.make_parents);
    put_owner(fields, made.owner);
    fields["timestamp"] = made.mtime_s.value_or(-1);
    add_action(actions, -1, "mkdir", std::move(fields));
  }
  void add_action(LlbJson& actions, const solver::RemoveAction& removal) const {
    LlbJson fields = {{"path", removal.path}};
    put(fields, "allowNotFound", !removal.required);
    put(fields, "allowWildcard", removal.wildcard);
    add_action(actions, -1, "rm", std::move(fields));
  }
  void add_action(LlbJson& actions, const solver::SymlinkAction& link) const {
    LlbJson fields = {{"oldpath", link.target}, {"newpath", link.path}};
    put_owner(fields, link.owner);
    fields["timestamp"] = link.mtime_s.value_or(-1);
    add_action(actions, -1, "symlink", std::move(fields));
  }
};

/// LLB has it on images and commands.
std::string platform_of(const solver::Op& op) {
  if (const auto* image = std::get_if<solver::ImageSource>(&op)) return image->platform;
  if (const auto* exec = std::get_if<solver::ExecOp>(&op)) return exec->platform;
  return {};
}

}  // namespace

std::vector<solver::VertexId> llb_inputs(const solver::Vertex& vertex) {
  std::vector<solver::VertexId> out = vertex.inputs;
  std::erase(out, solver::kNoInput);
  return out;
}

std::string llb_json(const solver::Vertex& vertex, const LlbNames& names) {
  LlbJson out = {{"Op", std::visit(OpWriter{vertex, names}, vertex.op)}};
  if (LlbJson platform = platform_json(platform_of(vertex.op)); !platform.is_null())
    out["platform"] = std::move(platform);
  out["constraints"] = LlbJson::object();
  return out.dump(-1, ' ', false, LlbJson::error_handler_t::replace);
}

std::string llb_end_json() { return R"({"Op":{}})"; }

}  // namespace cbuild::engine
