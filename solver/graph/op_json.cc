// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/op_json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/text.h"

namespace cbuild::solver {

namespace {

using Json = nlohmann::ordered_json;

std::string octal(std::uint32_t mode) {
  std::string out;
  for (; mode != 0; mode >>= 3) out.insert(out.begin(), static_cast<char>('0' + (mode & 7)));
  return "0" + out;
}

/// Collects fields, leaving out those that equal their default.
struct Fields {
  Json out = Json::object();

  template <typename T>
  Fields& add(const char* name, const T& value, const std::type_identity_t<T>& by_default = T{}) {
    if (value != by_default) out[name] = value;
    return *this;
  }
  Fields& mode(const char* name, std::uint32_t value, std::uint32_t by_default) {
    if (value != by_default) out[name] = octal(value);
    return *this;
  }
  Fields& digest(const char* name, const Digest& value) {
    out[name] = value.str();
    return *this;
  }
  Fields& list(const char* name, Json values) {
    if (!values.empty()) out[name] = std::move(values);
    return *this;
  }
  Fields& time(const char* name, const std::optional<std::int64_t>& value) {
    if (value) out[name] = *value;
    return *this;
  }
};

const char* sharing_name(Sharing sharing) {
  static constexpr const char* kNames[] = {"shared", "private", "locked"};
  return kNames[static_cast<std::size_t>(sharing)];
}

struct MountJson {
  Json operator()(const BindMount& mount) const {
    return Fields{Json{{"type", "bind"}, {"input", mount.input}}}
        .add("source", mount.source, "/")
        .add("read_only", mount.read_only, true)
        .out;
  }
  Json operator()(const CacheMount& mount) const {
    return Fields{Json{{"type", "cache"}, {"id", mount.id}, {"sharing", sharing_name(mount.sharing)}}}
        .add("input", mount.input, -1)
        .add("source", mount.source, "/")
        .mode("mode", mount.mode, 0755)
        .add("uid", mount.uid)
        .add("gid", mount.gid)
        .add("read_only", mount.read_only)
        .out;
  }
  Json operator()(const TmpfsMount& mount) const {
    return Fields{Json{{"type", "tmpfs"}}}.add("size", mount.size_bytes).out;
  }
  Json operator()(const SecretMount& mount) const {
    return Fields{Json{{"type", "secret"}, {"id", mount.id}}}
        .add("env", mount.env_name)
        .add("as_file", mount.as_file, true)
        .add("required", mount.required)
        .mode("mode", mount.mode, 0400)
        .add("uid", mount.uid)
        .add("gid", mount.gid)
        .out;
  }
  Json operator()(const SshMount& mount) const {
    return Fields{Json{{"type", "ssh"}, {"id", mount.id}}}
        .add("required", mount.required)
        .mode("mode", mount.mode, 0600)
        .add("uid", mount.uid)
        .add("gid", mount.gid)
        .out;
  }
};

Json mounts_json(const std::vector<ExecMount>& mounts) {
  Json out = Json::array();
  for (const ExecMount& mount : mounts) {
    Json entry{{"target", mount.target}};
    entry.update(std::visit(MountJson{}, mount.what));
    out.push_back(std::move(entry));
  }
  return out;
}

Json files_json(const std::vector<InlineFile>& files) {
  Json out = Json::array();
  for (const InlineFile& file : files) {
    out.push_back(Fields{Json{{"path", file.path}, {"content", file.content}}}.mode("mode", file.mode, 0755).out);
  }
  return out;
}

/// Names only: the values may hold passwords.
Json names_json(const std::vector<std::string>& variables) {
  Json out = Json::array();
  for (const std::string& variable : variables) out.push_back(variable.substr(0, variable.find('=')));
  return out;
}

Json ulimits_json(const std::vector<Ulimit>& ulimits) {
  Json out = Json::array();
  for (const Ulimit& limit : ulimits) out.push_back(cat(limit.name, '=', limit.soft, ':', limit.hard));
  return out;
}

struct ActionJson {
  Json operator()(const CopyAction& copy) const {
    return Fields{Json{{"action", "copy"}, {"input", copy.input}, {"sources", copy.sources}}}
        .add("destination", copy.destination)
        .add("excludes", copy.excludes)
        .add("chown", copy.chown)
        .add("chmod", copy.chmod)
        .add("parents", copy.parents)
        .add("unpack", copy.unpack)
        .add("required", copy.required, true)
        .time("mtime", copy.mtime_s)
        .out;
  }
  Json operator()(const MakeFileAction& file) const {
    return Fields{Json{{"action", "mkfile"}, {"path", file.path}, {"content", file.content}}}
        .mode("mode", file.mode, 0644)
        .add("chown", file.chown)
        .add("chmod", file.chmod)
        .out;
  }
  Json operator()(const MakeDirAction& dir) const {
    return Fields{Json{{"action", "mkdir"}, {"path", dir.path}}}
        .mode("mode", dir.mode, 0755)
        .add("owner", dir.owner)
        .time("mtime", dir.mtime_s)
        .out;
  }
};

struct OpJson {
  Json operator()(const ImageSource& image) const {
    return Fields{}
        .digest("manifest", image.manifest)
        .add("platform", image.platform)
        .digest("chain_id", image.chain_id)
        .add("locator", image.locator)
        .out;
  }
  Json operator()(const LocalSource& local) const {
    return Fields{}.add("name", local.name).add("path", local.path).add("ignore", local.ignore).out;
  }
  Json operator()(const GitSource& git) const {
    return Fields{}
        .add("remote", git.remote)
        .add("commit", git.commit)
        .add("ref", git.ref)
        .add("subdir", git.subdir)
        .add("keep_git_dir", git.keep_git_dir)
        .add("submodules", git.submodules, true)
        .add("commit_mtime", git.commit_mtime, true)
        .out;
  }
  Json operator()(const HttpSource& http) const {
    return Fields{}
        .add("url", http.url)
        .add("filename", http.filename)
        .digest("content", http.content)
        .add("mtime", http.mtime_s)
        .add("unpack", http.unpack)
        .out;
  }
  Json operator()(const ExecOp& exec) const {
    Fields fields;
    fields.add("argv", exec.argv)
        .add("environment", exec.environment)
        .add("working_dir", exec.working_dir, "/")
        .add("user", exec.user)
        .add("platform", exec.platform)
        .list("mounts", mounts_json(exec.mounts))
        .list("files", files_json(exec.files));
    if (exec.network == NetworkMode::none) fields.out["network"] = "none";
    return fields.add("insecure", exec.insecure)
        .add("devices", exec.devices)
        .add("hostname", exec.hostname)
        .add("extra_hosts", exec.extra_hosts)
        .list("proxy_environment", names_json(exec.proxy_environment))
        .list("ulimits", ulimits_json(exec.ulimits))
        .add("shm_size", exec.shm_size)
        .add("cgroup_parent", exec.cgroup_parent)
        .add("timeout_ns", exec.timeout_ns)
        .add("retries", exec.retries)
        .out;
  }
  Json operator()(const FileOp& file) const {
    Json actions = Json::array();
    for (const FileAction& action : file.actions) actions.push_back(std::visit(ActionJson{}, action));
    return Json{{"actions", std::move(actions)}};
  }
  Json operator()(const MergeOp&) const { return Json::object(); }
  Json operator()(const DiffOp&) const { return Json::object(); }
};

}  // namespace

Json op_json(const Op& op) { return std::visit(OpJson{}, op); }

}  // namespace cbuild::solver
