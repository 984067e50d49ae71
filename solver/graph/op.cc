// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/op.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/path_pattern.h"
#include "base/text.h"
#include "solver/graph/op_paths.h"

// Canonical bytes of ops. The place of what an op reads is left out where its content is in the key anyway;
// what remains is which part of the selector goes where, so that two sources of one input cannot change
// places unseen.
namespace cbuild::solver {

namespace {

constexpr std::uint8_t kPlaceByName = 0, kPlaceByRank = 1;

void write(CanonicalWriter& writer, const std::vector<std::string>& texts) {
  writer.number(texts.size());
  for (const std::string& text : texts) writer.text(text);
}

void write(CanonicalWriter& writer, const std::optional<std::int64_t>& time) {
  writer.tag(time.has_value()).number(static_cast<std::uint64_t>(time.value_or(0)));
}

std::uint64_t input_number(int input) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(input)); }

/// Writes where a path stands among the paths of its input's selector.
class RankWriter {
 public:
  RankWriter(CanonicalWriter& writer, const Op& op) : writer_(writer), op_(op) {}

  void write(int input, const std::string& path) {
    auto found = selectors_.find(input);
    if (found == selectors_.end())
      found = selectors_.emplace(input, selector(op_, static_cast<std::size_t>(input))).first;
    const std::vector<std::string>& paths = found->second.paths;
    const auto at = std::lower_bound(paths.begin(), paths.end(), path);
    writer_.tag(kPlaceByRank).number(static_cast<std::uint64_t>(at - paths.begin()));
  }

 private:
  CanonicalWriter& writer_;
  const Op& op_;
  std::map<int, Selector> selectors_;
};

struct MountWriter {
  CanonicalWriter& writer;
  RankWriter& ranks;
  const std::string& target;

  void operator()(const BindMount& bind) const {
    write_place(bind.input, bind.source);
    writer.tag(bind.read_only);
  }

  /// The id counts only where it is the default one, as in the reference: a step does not run again because
  /// its cache directory is now called differently.
  void operator()(const CacheMount& cache) const {
    const std::size_t slash = cache.id.find('/');
    const bool in_namespace = slash != std::string::npos && cache.id.substr(slash + 1) == target;
    const bool by_default = cache.sharing == Sharing::shared && (cache.id == target || in_namespace);
    writer.text(by_default ? cache.id : "").tag(cache.read_only);
    write_place(cache.input, cache.source);
    if (cache.input < 0) writer.number(cache.mode).number(cache.uid).number(cache.gid);
  }

  void operator()(const TmpfsMount& tmpfs) const { writer.number(tmpfs.size_bytes); }

  void operator()(const SecretMount& secret) const {
    // An id holds no zero byte, so a hashed value cannot be taken for an id.
    const std::string hashed = secret.value_hash.empty() ? std::string() : cat('\0', secret.value_hash);
    writer.text(cat(secret.id, hashed)).text(secret.env_name).tag(secret.as_file).tag(secret.required);
    writer.number(secret.mode).number(secret.uid).number(secret.gid);
  }

  void operator()(const SshMount& ssh) const {
    writer.text(ssh.id).tag(ssh.required).number(ssh.mode).number(ssh.uid).number(ssh.gid);
  }

 private:
  /// An input that is read whole has no place in its selector, so the place stands here.
  void write_place(int input, const std::string& source) const {
    writer.number(input_number(input));
    const std::string path = mount_path(source);
    if (input > 0) {
      ranks.write(input, path);
    } else {
      writer.tag(kPlaceByName).text(path);
    }
  }
};

struct ActionWriter {
  CanonicalWriter& writer;
  RankWriter& ranks;

  void operator()(const CopyAction& copy) const {
    writer.number(input_number(copy.input)).number(copy.sources.size());
    for (const std::string& source : copy.sources) write_source(copy, source);
    writer.text(copy.destination);
    write(writer, copy.excludes);
    writer.text(copy.chown).text(copy.chmod).tag(copy.parents).tag(copy.unpack).tag(copy.required);
    write(writer, copy.mtime_s);
  }

  void operator()(const MakeFileAction& file) const {
    writer.text(file.path).text(file.content).number(file.mode).text(file.chown).text(file.chmod);
  }

  void operator()(const MakeDirAction& dir) const {
    writer.text(dir.path).number(dir.mode).text(dir.owner);
    write(writer, dir.mtime_s);
  }

 private:
  /// A plain source counts by its last name: that is what arrives. Wildcards and --parents may let more of
  /// the path arrive.
  void write_source(const CopyAction& copy, const std::string& source) const {
    const std::string path = copy_path(source, copy.parents);
    if (copy.input <= 0 || copy.parents || has_glob(path)) {
      writer.tag(kPlaceByName).text(path);
      return;
    }
    ranks.write(copy.input, path);
    writer.text(base_name(path));
  }
};

/// "name=ip" without the address.
std::string_view host_name(std::string_view entry) { return entry.substr(0, entry.find('=')); }

struct OpWriter {
  CanonicalWriter& writer;
  RankWriter& ranks;

  void operator()(const ImageSource& image) const { writer.text(image.platform).digest(image.manifest); }

  void operator()(const LocalSource& local) const {
    writer.text(local.path);
    write(writer, local.ignore);
  }

  /// The commit pins the tree; remote and ref show only inside a kept .git directory.
  void operator()(const GitSource& git) const {
    writer.text(git.commit).text(git.subdir).tag(git.keep_git_dir).tag(git.submodules).tag(git.commit_mtime);
    if (git.keep_git_dir) writer.text(git.remote).text(git.ref);
  }

  void operator()(const HttpSource& http) const {
    writer.digest(http.content).text(http.filename).number(static_cast<std::uint64_t>(http.mtime_s)).tag(http.unpack);
  }

  void operator()(const ExecOp& exec) const {
    write(writer, exec.argv);
    write(writer, exec.environment);
    writer.text(exec.working_dir).text(exec.user).text(exec.platform).number(exec.mounts.size());
    for (const ExecMount& mount : exec.mounts) {
      writer.text(mount.target).tag(static_cast<std::uint8_t>(mount.what.index()));
      std::visit(MountWriter{writer, ranks, mount.target}, mount.what);
    }
    writer.number(exec.files.size());
    for (const InlineFile& file : exec.files) writer.text(file.path).text(file.content).number(file.mode);
    writer.tag(static_cast<std::uint8_t>(exec.network)).tag(exec.insecure);
    write(writer, exec.devices);
    writer.text(exec.hostname).number(exec.extra_hosts.size());
    for (const std::string& entry : exec.extra_hosts) writer.text(host_name(entry));
  }

  void operator()(const FileOp& file) const {
    writer.number(file.actions.size());
    for (const FileAction& action : file.actions) {
      writer.tag(static_cast<std::uint8_t>(action.index()));
      std::visit(ActionWriter{writer, ranks}, action);
    }
  }

  void operator()(const MergeOp&) const {}
  void operator()(const DiffOp&) const {}
};

}  // namespace

std::string canonical(const Op& op) {
  CanonicalWriter writer;
  writer.text("cbuild.op").number(kOpFormat).tag(static_cast<std::uint8_t>(op.index()));
  RankWriter ranks(writer, op);
  std::visit(OpWriter{writer, ranks}, op);
  return writer.bytes();
}

bool is_source(const Op& op) {
  return std::holds_alternative<ImageSource>(op) || std::holds_alternative<LocalSource>(op) ||
         std::holds_alternative<GitSource>(op) || std::holds_alternative<HttpSource>(op);
}

}  // namespace cbuild::solver
