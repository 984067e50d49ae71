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
inline constexpr std::array<const char*, 5> kActionTypes = {"copy", "mkfile", "mkdir", "rm", "symlink"};
static_assert(kMountTypes.size() == std::variant_size_v<decltype(ExecMount::what)>);
static_assert(kActionTypes.size() == std::variant_size_v<FileAction>);

/// `visit.keyed_if(condition, fields)`: the fields inside count in the key only if the condition holds. The JSON always
/// shows them.
template <typename Visitor>
void visit_fields(const ImageSource& image, Visitor& visit) {
  const auto& [manifest, platform, chain_id, locator, layer_limit] = image;
  visit.pinned_image(manifest, platform);
  visit.keyed_if(layer_limit != 0, [&, &limit = layer_limit] { visit.number({"layer_limit"}, limit); });
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
  const auto& [url, filename, content, mtime_s, unpack, mode, uid, gid] = http;
  visit.keyed_if(false, [&, &from = url] { visit.text({"url"}, from); });
  visit.digest({"content"}, content);
  visit.text({"filename"}, filename);
  visit.number({"mtime"}, mtime_s);
  visit.flag({"unpack"}, unpack);
  visit.keyed_if(mode != 0600 || uid != 0 || gid != 0, [&, &bits = mode, &user = uid, &group = gid] {
    visit.mode({"mode"}, bits, 0600);
    visit.number({"uid"}, user);
    visit.number({"gid"}, group);
  });
}

template <typename Visitor>
void visit_fields(const BindMount& bind, Visitor& visit) {
  const auto& [input, source, read_only, kept] = bind;
  visit.place({"input", "from input"}, input, source);
  visit.flag({"read_only", "rw"}, read_only, true);
  visit.keyed_if(kept, [&, &stays = kept] { visit.flag({"kept", "kept"}, stays); });
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
               security, host_names, exit_codes] = exec;
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
  visit.keyed_if(!exit_codes.empty(), [&, &codes = exit_codes] {
    std::vector<std::string> texts;
    for (const int code : codes) texts.push_back(std::to_string(code));
    visit.texts({"exit_codes", "exit codes"}, texts);
  });
}

template <typename Visitor>
void visit_fields(const CopyManner& manner, Visitor& visit) {
  const auto& [follow, contents, make_parents, match, replace, includes, needed, owner_input] = manner;
  visit.flag({"follow"}, follow, true);
  visit.flag({"contents"}, contents, true);
  visit.flag({"make_parents"}, make_parents, true);
  visit.flag({"match"}, match);
  visit.flag({"replace"}, replace);
  visit.texts({"includes", "includes", " "}, includes);
  visit.texts({"needed"}, needed);
  visit.number({"owner_input"}, owner_input);
}

template <typename Visitor>
void visit_fields(const CopyAction& copy, Visitor& visit) {
  const auto& [input, sources, destination, excludes, chown, chmod, parents, unpack, required, mtime_s, manner] = copy;
  visit.copied(input, sources, destination, parents);
  visit.texts({"excludes", "excludes", " "}, excludes);
  visit.text({"chown", "chown"}, chown);
  visit.text({"chmod", "chmod"}, chmod);
  visit.flag({"parents"}, parents);
  visit.flag({"unpack"}, unpack);
  visit.flag({"required"}, required, true);
  visit.time({"mtime"}, mtime_s);
  visit.keyed_if(manner != CopyManner{}, [&, &way = manner] { visit_fields(way, visit); });
}

template <typename Visitor>
void visit_fields(const MakeFileAction& made, Visitor& visit) {
  const auto& [path, content, mode, chown, chmod, mtime_s, make_parents, owner_input] = made;
  visit.file(path, content);
  visit.mode({"mode"}, mode, 0644);
  visit.text({"chown", "chown"}, chown);
  visit.text({"chmod", "chmod"}, chmod);
  visit.keyed_if(mtime_s || !make_parents || owner_input != 0,
                 [&, &time = mtime_s, &parents = make_parents, &names = owner_input] {
                   visit.time({"mtime"}, time);
                   visit.flag({"make_parents"}, parents, true);
                   visit.number({"owner_input"}, names);
                 });
}

template <typename Visitor>
void visit_fields(const MakeDirAction& made, Visitor& visit) {
  const auto& [path, mode, owner, mtime_s, make_parents, owner_input] = made;
  visit.text({"path", "directory"}, path);
  visit.mode({"mode"}, mode, 0755);
  visit.text({"owner"}, owner);
  visit.time({"mtime"}, mtime_s);
  visit.keyed_if(!make_parents || owner_input != 0, [&, &parents = make_parents, &names = owner_input] {
    visit.flag({"make_parents"}, parents, true);
    visit.number({"owner_input"}, names);
  });
}

template <typename Visitor>
void visit_fields(const RemoveAction& remove, Visitor& visit) {
  const auto& [path, wildcard, required] = remove;
  visit.text({"path", "rm"}, path);
  visit.flag({"wildcard"}, wildcard);
  visit.flag({"required"}, required, true);
}

template <typename Visitor>
void visit_fields(const SymlinkAction& link, Visitor& visit) {
  const auto& [target, path, owner, mtime_s, owner_input] = link;
  visit.text({"path", "symlink"}, path);
  visit.text({"target", "target"}, target);
  visit.text({"owner"}, owner);
  visit.time({"mtime"}, mtime_s);
  visit.number({"owner_input"}, owner_input);
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
template <typename Visitor>
void visit_fields(const OutputOp& output, Visitor& visit) {
  const auto& [target] = output;
  visit.text({"target", "output"}, target);
}

}  // namespace cbuild::solver
