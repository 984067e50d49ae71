// SPDX-License-Identifier: Apache-2.0
// The one list of the fields of each op. Whoever needs all of them is a visitor: the canonical bytes (op.cc), the JSON
// (op_json.cc) and the lines that explain a key (solver/key_parts.cc). Each list takes its struct apart with a
// structured binding, so a field that is added to the struct and not to the list does not compile.
//
// A visitor has a function for each way in which a field counts. The canonical bytes are in the order of the lists.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "solver/graph/op.h"

namespace cbuild::solver {

/// How a field is called.
struct FieldName {
  const char* json;
  /// The first word of its line in a key's make-up; of a mount, whose fields share one line: what is said there of a
  /// field that is not at its default. Empty: a change of it is seen only in the line "op", which covers all fields.
  std::string_view line = {};
  std::string_view separator = ",";  ///< between the entries of a list, in its line
};

/// Words of the alternatives, by index.
inline constexpr std::array<const char*, 5> kMountTypes = {"bind", "cache", "tmpfs", "secret", "ssh"};
inline constexpr std::array<const char*, 3> kActionTypes = {"copy", "mkfile", "mkdir"};
static_assert(kMountTypes.size() == std::variant_size_v<decltype(ExecMount::what)>);
static_assert(kActionTypes.size() == std::variant_size_v<FileAction>);

/// `visit.keyed_if(condition, fields)`: the fields inside count in the key only if the condition holds. The JSON always
/// shows them.
template <typename Visitor>
void visit_fields(const ImageSource& image, Visitor& visit) {
  const auto& [manifest, platform, chain_id, locator] = image;
  visit.pinned_image(manifest, platform);
  visit.keyed_if(false, [&, &chain = chain_id, &place = locator] {
    visit.digest({"chain_id"}, chain);
    visit.text({"locator"}, place);
  });
}

template <typename Visitor>
void visit_fields(const LocalSource& local, Visitor& visit) {
  const auto& [name, path, ignore] = local;
  visit.keyed_if(false, [&, &own = name] { visit.text({"name"}, own); });
  visit.text({"path"}, path);
  visit.texts({"ignore"}, ignore);
}

/// The commit pins the tree; remote and ref show only inside a kept .git directory.
template <typename Visitor>
void visit_fields(const GitSource& git, Visitor& visit) {
  const auto& [remote, commit, ref, subdir, keep_git_dir, submodules, commit_mtime] = git;
  visit.text({"commit"}, commit);
  visit.text({"subdir"}, subdir);
  visit.flag({"keep_git_dir"}, keep_git_dir);
  visit.flag({"submodules"}, submodules, true);
  visit.flag({"commit_mtime"}, commit_mtime, true);
  visit.keyed_if(keep_git_dir, [&, &from = remote, &name = ref] {
    visit.text({"remote"}, from);
    visit.text({"ref"}, name);
  });
}

template <typename Visitor>
void visit_fields(const HttpSource& http, Visitor& visit) {
  const auto& [url, filename, content, mtime_s, unpack] = http;
  visit.keyed_if(false, [&, &from = url] { visit.text({"url"}, from); });
  visit.digest({"content"}, content);
  visit.text({"filename"}, filename);
  visit.number({"mtime"}, mtime_s);
  visit.flag({"unpack"}, unpack);
}

template <typename Visitor>
void visit_fields(const BindMount& bind, Visitor& visit) {
  const auto& [input, source, read_only] = bind;
  visit.place({"input", "from input"}, input, source);
  visit.flag({"read_only", "rw"}, read_only, true);
}

template <typename Visitor>
void visit_fields(const CacheMount& cache, Visitor& visit) {
  const auto& [id, sharing, input, source, mode, uid, gid, read_only] = cache;
  visit.cache_id(id, sharing);
  visit.flag({"read_only", "ro"}, read_only);
  visit.place({"input"}, input, source);
  visit.keyed_if(input < 0, [&, &bits = mode, &user = uid, &group = gid] {
    visit.mode({"mode"}, bits, 0755);
    visit.number({"uid"}, user);
    visit.number({"gid"}, group);
  });
}

template <typename Visitor>
void visit_fields(const TmpfsMount& tmpfs, Visitor& visit) {
  const auto& [size_bytes] = tmpfs;
  visit.number({"size", "size"}, size_bytes);
}

template <typename Visitor>
void visit_fields(const SecretMount& secret, Visitor& visit) {
  const auto& [id, env_name, as_file, required, mode, uid, gid, value_hash] = secret;
  visit.secret_id(id, value_hash);
  visit.text({"env"}, env_name);
  visit.flag({"as_file"}, as_file, true);
  visit.flag({"required", "required"}, required);
  visit.mode({"mode"}, mode, 0400);
  visit.number({"uid"}, uid);
  visit.number({"gid"}, gid);
}

template <typename Visitor>
void visit_fields(const SshMount& ssh, Visitor& visit) {
  const auto& [id, required, mode, uid, gid] = ssh;
  visit.text({"id", "id"}, id);
  visit.flag({"required", "required"}, required);
  visit.mode({"mode"}, mode, 0600);
  visit.number({"uid"}, uid);
  visit.number({"gid"}, gid);
}

template <typename Visitor>
void visit_fields(const InlineFile& file, Visitor& visit) {
  const auto& [path, content, mode] = file;
  visit.file(path, content);
  visit.mode({"mode"}, mode, 0755);
}

template <typename Visitor>
void visit_fields(const ExecOp& exec, Visitor& visit) {
  const auto& [argv, environment, working_dir, user, platform, mounts, files, network, insecure, devices, hostname,
               security, host_names] = exec;
  visit.command(argv);
  visit.variables(environment);
  visit.text({"working_dir", "workdir"}, working_dir, "/");
  visit.text({"user", "user"}, user);
  visit.text({"platform", "platform"}, platform);
  visit.mounts(mounts);
  visit.files(files);
  visit.network(network);
  visit.flag({"insecure", "security"}, insecure);
  visit.texts({"devices", "devices"}, devices);
  visit.text({"hostname", "hostname"}, hostname);
  visit.texts({"extra_hosts"}, host_names);
  visit.keyed_if(!security.empty(), [&, &rights = security] { visit.texts({"security_options", "rights"}, rights); });
}

template <typename Visitor>
void visit_fields(const CopyAction& copy, Visitor& visit) {
  const auto& [input, sources, destination, excludes, chown, chmod, parents, unpack, required, mtime_s] = copy;
  visit.copied(input, sources, destination, parents);
  visit.texts({"excludes", "excludes", " "}, excludes);
  visit.text({"chown", "chown"}, chown);
  visit.text({"chmod", "chmod"}, chmod);
  visit.flag({"parents"}, parents);
  visit.flag({"unpack"}, unpack);
  visit.flag({"required"}, required, true);
  visit.time({"mtime"}, mtime_s);
}

template <typename Visitor>
void visit_fields(const MakeFileAction& made, Visitor& visit) {
  const auto& [path, content, mode, chown, chmod] = made;
  visit.file(path, content);
  visit.mode({"mode"}, mode, 0644);
  visit.text({"chown", "chown"}, chown);
  visit.text({"chmod", "chmod"}, chmod);
}

template <typename Visitor>
void visit_fields(const MakeDirAction& made, Visitor& visit) {
  const auto& [path, mode, owner, mtime_s] = made;
  visit.text({"path", "directory"}, path);
  visit.mode({"mode"}, mode, 0755);
  visit.text({"owner"}, owner);
  visit.time({"mtime"}, mtime_s);
}

template <typename Visitor>
void visit_fields(const FileOp& file, Visitor& visit) {
  const auto& [actions] = file;
  visit.actions(actions);
}

template <typename Visitor>
void visit_fields(const MergeOp&, Visitor&) {}
template <typename Visitor>
void visit_fields(const DiffOp&, Visitor&) {}

}  // namespace cbuild::solver
