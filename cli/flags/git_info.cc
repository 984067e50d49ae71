// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/git_info.h"

#include <limits.h>
#include <stdlib.h>

#include <algorithm>
#include <array>

#include "base/process/subprocess.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "base/words.h"
#include "supply/redact.h"

namespace cbuild::cli {
namespace {

/// One line of git's; empty where it fails.
std::string ask_git(const std::string& directory, std::vector<std::string> words) {
  words.insert(words.begin(), {"git", "-C", directory, "-c", "core.fsmonitor=false"});
  const CommandResult result = cbuild::run_command(words, CommandOptions{});
  return result.exit_code == 0 ? std::string(trim(result.out)) : std::string();
}

std::string real_path_of(const std::string& path) {
  std::array<char, PATH_MAX> buffer{};
  return ::realpath(path.c_str(), buffer.data()) == nullptr ? std::string() : std::string(buffer.data());
}

/// A context in a work tree; `root` is empty for any other.
struct WorkTree {
  std::string directory, root, file;  ///< the context, the top of the tree, the Dockerfile: real paths
  std::string commit, remote;
};

bool checks_changes() {
  const char* value = std::getenv("BUILDX_GIT_CHECK_DIRTY");
  return value != nullptr && parse_bool(value).value_or(false);
}

/// That of the branch, else one of the usual names.
std::string remote_url(const std::string& directory) {
  const std::string branch = ask_git(directory, {"symbolic-ref", "-q", "--short", "HEAD"});
  const std::string own =
      branch.empty() ? "" : ask_git(directory, {"config", "--get", cat("branch.", branch, ".remote")});
  for (const std::string& name : {own, std::string("origin"), std::string("upstream")}) {
    const std::string url = name.empty() ? "" : ask_git(directory, {"config", "--get", cat("remote.", name, ".url")});
    if (!url.empty()) return url;
  }
  return {};
}

WorkTree work_tree(const BuildLine& line) {
  WorkTree out;
  out.directory = real_path_of(line.context);
  out.root = out.directory.empty() ? "" : ask_git(out.directory, {"rev-parse", "--show-toplevel"});
  if (out.root.empty()) return out;
  out.commit = ask_git(out.directory, {"rev-parse", "--verify", "-q", "HEAD"});
  if (!out.commit.empty() && checks_changes() && !ask_git(out.directory, {"status", "--porcelain"}).empty())
    out.commit += "-dirty";
  out.remote = remote_url(out.directory);
  out.file = line.file.empty() ? cat(out.directory, "/Dockerfile") : real_path_of(line.file);
  return out;
}

/// Relative to the top of the tree; "" for a path outside of it.
std::string place_in(const WorkTree& tree, const std::string& path) {
  if (path == tree.root) return ".";
  return path.starts_with(tree.root + "/") ? path.substr(tree.root.size() + 1) : std::string();
}

bool has_provenance(const BuildLine& line) {
  const auto& settings = line.request.outputs.attestations.provenance;
  if (line.request.outputs.tell_provenance) return true;
  if (!settings) return false;
  const auto& outputs = line.request.outputs.list;
  return !settings->inline_only ||
         std::any_of(outputs.begin(), outputs.end(), [](const auto& output) { return output.attestation_inline; });
}

}  // namespace

void add_git_labels(BuildLine& line) {
  const WorkTree tree = work_tree(line);
  if (tree.root.empty()) return;
  std::map<std::string, std::string>& labels = line.request.inputs.labels;
  if (!tree.commit.empty()) labels["org.opencontainers.image.revision"] = tree.commit;
  if (!tree.remote.empty()) labels["org.opencontainers.image.source"] = without_user_info(tree.remote);
  if (const std::string place = place_in(tree, tree.file); !place.empty())
    labels["com.docker.image.source.entrypoint"] = place;
}

void add_git_info(BuildLine& line) {
  if (!has_provenance(line)) return;
  const WorkTree tree = work_tree(line);
  if (tree.root.empty()) return;
  const std::pair<const char*, std::string> values[] = {
      {"revision", tree.commit},
      {"source", supply::without_credentials(tree.remote)},
      {"localdir:context", place_in(tree, tree.directory)},
      {"localdir:dockerfile", place_in(tree, dir_name(tree.file))},
  };
  for (const auto& [name, value] : values)
    if (!value.empty()) line.request.inputs.vcs[name] = value;
}

}  // namespace cbuild::cli
