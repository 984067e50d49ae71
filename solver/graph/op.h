// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/process_values.h"
#include "base/resources.h"

/// The work of a build, as values. An Op is the action on its inputs; where the inputs come from is the graph's
/// business, and names, labels and places are the vertex's.
namespace cbuild::solver {

/// A base image, pinned. The key is the platform and the manifest digest; `locator` says only where to fetch it.
struct ImageSource {
  Digest manifest;
  std::string platform;  ///< "linux/amd64"
  Digest chain_id;       ///< of its diff ids
  std::string locator;   ///< "docker-image://docker.io/library/x:tag@sha256:...", "oci-layout://PATH@sha256:..."
  std::uint32_t layer_limit = 0;  ///< only so many of its layers, from the lowest; 0: all

  bool operator==(const ImageSource&) const = default;
};

/// A directory of this machine, read in place. Never hit by definition: the content that an op reads from it enters the
/// op's keys.
struct LocalSource {
  std::string name;                 ///< "context" or the name of a named context
  std::string path;                 ///< absolute
  std::vector<std::string> ignore;  ///< patterns of its ignore file

  bool operator==(const LocalSource&) const = default;
};

/// A git checkout, pinned to a commit.
struct GitSource {
  std::string remote, commit, ref, subdir;
  bool keep_git_dir = false, submodules = true;
  bool commit_mtime = true;  ///< all entries have the commit's time; else that of the checkout

  bool operator==(const GitSource&) const = default;
};

/// One file by URL, pinned by the digest of its content.
struct HttpSource {
  std::string url, filename;
  Digest content;
  std::int64_t mtime_s = 0;
  bool unpack = false;                          ///< a context archive: its content is the tree
  std::uint32_t mode = 0600, uid = 0, gid = 0;  ///< of the file

  bool operator==(const HttpSource&) const = default;
};

enum class Sharing { shared, private_, locked };

/// Writes are thrown away, or `kept`: then an OutputOp gives them.
struct BindMount {
  int input = -1;
  std::string source = "/";
  bool read_only = true;
  bool kept = false;
  bool operator==(const BindMount&) const = default;
};
/// `input` -1: starts empty; else initial content from there.
struct CacheMount {
  std::string id;
  Sharing sharing = Sharing::shared;
  int input = -1;
  std::string source = "/";
  std::uint32_t mode = 0755, uid = 0, gid = 0;
  bool read_only = false;
  bool operator==(const CacheMount&) const = default;
};
struct TmpfsMount {
  std::uint64_t size_bytes = 0;
  bool operator==(const TmpfsMount&) const = default;
};
/// `value_hash`: a keyed hash of the value, where the user wants a changed secret to run the step again; empty: the
/// value does not count.
struct SecretMount {
  std::string id, env_name;
  bool as_file = true, required = false;
  std::uint32_t mode = 0400, uid = 0, gid = 0;
  std::string value_hash = {};
  bool operator==(const SecretMount&) const = default;
};
struct SshMount {
  std::string id;
  bool required = false;
  std::uint32_t mode = 0600, uid = 0, gid = 0;
  bool operator==(const SshMount&) const = default;
};

struct ExecMount {
  std::string target;
  std::variant<BindMount, CacheMount, TmpfsMount, SecretMount, SshMount> what;
  bool operator==(const ExecMount&) const = default;
};

/// A file given by value, put into the sandbox for the time of the command (heredoc scripts under /dev/pipes).
struct InlineFile {
  std::string path, content;
  std::uint32_t mode = 0755;
  bool operator==(const InlineFile&) const = default;
};
/// Runs a command on input 0 as the root. All of it is in the key; settings that are not are in ExecSettings. A field
/// is added to the list in op_fields.h too, which the compiler demands.
struct ExecOp {
  std::vector<std::string> argv, environment;
  std::string working_dir = "/", user;
  std::string platform;
  std::vector<ExecMount> mounts;
  std::vector<InlineFile> files;
  NetworkMode network = NetworkMode::host;
  bool insecure = false;
  std::vector<std::string> devices;
  std::string hostname;
  std::vector<std::string> security;    ///< rights that differ from the usual ones: "cap-add=CAP_SYS_PTRACE"
  std::vector<std::string> host_names;  ///< that the command can look up in addition, see ExecSettings::extra_hosts
  std::vector<int> exit_codes = {};     ///< of a command that did well, sorted; empty: 0

  bool operator==(const ExecOp&) const = default;
};

/// Whether a command that ended with this code gives a result.
bool did_well(const ExecOp& op, int exit_code);

/// How a command is run: nothing here counts for a cache. It is on the vertex, next to the op.
struct ExecSettings {
  std::vector<std::string> argument_names;       ///< in ExecOp::environment by ARG; for explanations
  std::vector<std::string> unkeyed_environment;  ///< "NAME=value" of ARGs that the command cannot be seen to use
  std::vector<std::string> extra_hosts;          ///< "name=ip" for each of ExecOp::host_names
  std::vector<std::string> proxy_environment;
  std::vector<Ulimit> ulimits;
  std::uint64_t shm_size = 0;  ///< 0: the sandbox's own
  std::string cgroup_parent;
  Resources resources;          ///< no more than these; the build as a whole may have lower ones
  std::int64_t timeout_ns = 0;  ///< 0: none
  unsigned retries = 0;
  bool own_network = false;  ///< a network of its own that reaches outside, instead of the machine's

  bool operator==(const ExecSettings&) const = default;
};

/// How a copy takes its sources, where that is not the way of COPY and ADD, which is the default.
struct CopyManner {
  bool follow = true;                 ///< a source that is a link is what it leads to
  bool contents = true;               ///< of a directory what is in it; else itself, below a destination that exists
  bool make_parents = true;           ///< of the destination; else they must exist
  bool match = false;                 ///< a wildcard must match something
  bool replace = false;               ///< an entry in the way is removed, a directory too
  std::vector<std::string> includes;  ///< patterns as CopyAction::excludes; empty: everything
  std::vector<std::string> needed;    ///< paths below the source that must exist
  int owner_input = 0;                ///< where the names of the owner are looked up

  bool operator==(const CopyManner&) const = default;
};

/// Copies from another input (`input` >= 1, or a source) onto input 0.
struct CopyAction {
  int input = 1;
  std::vector<std::string> sources;  ///< cleaned paths relative to the source root, maybe with wildcards
  std::string destination;           ///< absolute; a trailing slash is kept and means "directory"
  std::vector<std::string> excludes;
  std::string chown;  ///< "user[:group]" to resolve in the destination; empty: keep (0:0 for local sources)
  std::string chmod;  ///< octal or symbolic; empty: keep
  bool parents = false;
  bool unpack = false;                       ///< extract archives (ADD)
  bool required = true;                      ///< a source without wildcard must exist
  std::optional<std::int64_t> mtime_s = {};  ///< set on entries that it creates (SOURCE_DATE_EPOCH)
  CopyManner manner = {};

  bool operator==(const CopyAction&) const = default;
};
/// A file in the place of whatever is not a directory. Without `make_parents` its directory must exist, and a file that
/// exists keeps mode and owner.
struct MakeFileAction {
  std::string path, content;
  std::uint32_t mode = 0644;
  std::string chown, chmod;
  std::optional<std::int64_t> mtime_s = {};
  bool make_parents = true;
  int owner_input = 0;
  bool operator==(const MakeFileAction&) const = default;
};
/// mkdir -p; owner and mode only for directories that it creates. Without `make_parents` the last one only.
struct MakeDirAction {
  std::string path;
  std::uint32_t mode = 0755;
  std::string owner;
  std::optional<std::int64_t> mtime_s = {};
  bool make_parents = true;
  int owner_input = 0;
  bool operator==(const MakeDirAction&) const = default;
};
/// rm -r; the last part of the path is not followed. A wildcard may match nothing.
struct RemoveAction {
  std::string path;
  bool wildcard = false;
  bool required = true;
  bool operator==(const RemoveAction&) const = default;
};
/// A link of text `target` at `path`, whose directory must exist, with nothing there.
struct SymlinkAction {
  std::string target, path, owner;
  std::optional<std::int64_t> mtime_s = {};
  int owner_input = 0;
  bool operator==(const SymlinkAction&) const = default;
};

using FileAction = std::variant<CopyAction, MakeFileAction, MakeDirAction, RemoveAction, SymlinkAction>;

/// Changes input 0 by file actions, in order, as one layer. An input 0 of kNoInput means an empty root;
/// copy inputs count from 1.
struct FileOp {
  std::vector<FileAction> actions;
  bool operator==(const FileOp&) const = default;
};

/// Stacks the layers of inputs 1.. on input 0 (COPY --link).
struct MergeOp {
  bool operator==(const MergeOp&) const = default;
};
/// The changes of input 1 against input 0.
struct DiffOp {
  bool operator==(const DiffOp&) const = default;
};

/// Takes what the command that is input 0 wrote at the kept mount of this target, on top of what is mounted there.
struct OutputOp {
  std::string target;
  bool operator==(const OutputOp&) const = default;
};

using Op = std::variant<ImageSource, LocalSource, GitSource, HttpSource, ExecOp, FileOp, MergeOp, DiffOp, OutputOp>;

/// Canonical bytes of the fields that a cache must tell apart. Where an op reads only a part of an input, the place of
/// that part is not here but in its selector: a moved directory changes keys made of places (definition keys), not
/// those made of content.
std::string canonical(const Op& op);
bool is_source(const Op& op);

/// The part of one input that an op reads.
struct Selector {
  enum class Kind {
    whole,  ///< the result itself; its identity is the key
    paths,  ///< these paths or wildcards of the tree, content digest
  } kind = Kind::whole;
  std::vector<std::string> paths;  ///< cleaned, relative to the root of the tree ("." is the root), sorted, each once
  std::vector<std::string> excludes;
  bool ignore_mode = false, ignore_owner = false;  ///< the op sets them itself
  bool parents = false;                            ///< full relative paths count; paths keep their "/./"
  bool required = true;                            ///< a path without wildcard must exist
  bool literal = false;                            ///< no path is a wildcard, whatever characters it has
  bool follow = true;                              ///< a path that is a link is what it leads to

  bool operator==(const Selector&) const = default;
};

/// The selector for input `index` of `op`. A LocalSource has no result: where it would be read whole, use
/// local_selector().
Selector selector(const Op& op, std::size_t index);
/// As selector(), for an input that is a LocalSource: whole becomes the path ".".
Selector local_selector(const Op& op, std::size_t index);
/// Canonical bytes of a selector.
std::string canonical(const Selector& selector);

}  // namespace cbuild::solver
