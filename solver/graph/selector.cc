// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/pattern/path_pattern.h"
#include "base/text.h"
#include "solver/graph/key_format.h"
#include "solver/graph/op.h"
#include "solver/graph/op_paths.h"

// The part of each input that each op reads. Where one input is read by several actions or mounts, the selector covers
// them all: an exclusion, or a property the op overrides, counts only if it does for every reader.
namespace cbuild::solver {

std::string copy_path(std::string_view source, bool parents) {
  while (source.starts_with('/')) source.remove_prefix(1);
  if (parents || has_glob(source)) return std::string(source);
  return clean_path(source);
}

std::string mount_path(std::string_view source) {
  std::string path = clean_path(cat("/", source)).substr(1);
  return path.empty() ? "." : path;
}

namespace {

void sort_unique(std::vector<std::string>& paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
}

bool sets_every_mode(const CopyAction& copy) { return !copy.chmod.empty() && parse_int(copy.chmod, 8).has_value(); }

int owner_input(const CopyAction& copy) { return copy.manner.owner_input; }
int owner_input(const MakeFileAction& made) { return made.owner_input; }
int owner_input(const MakeDirAction& made) { return made.owner_input; }
int owner_input(const RemoveAction&) { return 0; }
int owner_input(const SymlinkAction& link) { return link.owner_input; }

/// Whether no list of paths says which part of the input an op reads: copies take it in different ways, or names of
/// owners are looked up in it.
bool is_read_whole(const FileOp& op, int input) {
  const CopyManner* manner = nullptr;
  for (const FileAction& action : op.actions) {
    if (std::visit([](const auto& what) { return owner_input(what); }, action) == input) return true;
    const auto* copy = std::get_if<CopyAction>(&action);
    if (!copy || copy->input != input) continue;
    if (manner && manner->follow != copy->manner.follow) return true;
    manner = &copy->manner;
  }
  return false;
}

Selector file_selector(const FileOp& op, int input) {
  if (is_read_whole(op, input)) return {};
  Selector result;
  result.kind = Selector::Kind::paths;
  bool first = true;
  for (const FileAction& action : op.actions) {
    const auto* copy = std::get_if<CopyAction>(&action);
    if (!copy || copy->input != input) continue;
    for (const std::string& source : copy->sources) result.paths.push_back(copy_path(source, copy->parents));
    if (first) {
      result.excludes = copy->excludes;
      result.ignore_mode = sets_every_mode(*copy);
      result.ignore_owner = !copy->chown.empty();
      result.required = copy->required;
      result.follow = copy->manner.follow;
    } else {
      if (result.excludes != copy->excludes) result.excludes.clear();
      result.ignore_mode &= sets_every_mode(*copy);
      result.ignore_owner &= !copy->chown.empty();
      result.required &= copy->required;
    }
    result.parents |= copy->parents;
    first = false;
  }
  sort_unique(result.paths);
  return result.paths.empty() ? Selector{} : result;
}

Selector exec_selector(const ExecOp& op, int input) {
  Selector result;
  result.kind = Selector::Kind::paths;
  for (const ExecMount& mount : op.mounts) {
    if (const auto* bind = std::get_if<BindMount>(&mount.what); bind && bind->input == input)
      result.paths.push_back(mount_path(bind->source));
    if (const auto* cache = std::get_if<CacheMount>(&mount.what); cache && cache->input == input)
      result.paths.push_back(mount_path(cache->source));
  }
  sort_unique(result.paths);
  // Where it makes no difference it stays out of the key.
  result.literal = std::any_of(result.paths.begin(), result.paths.end(), has_glob);
  const bool whole = result.paths.empty() || (result.paths.size() == 1 && result.paths[0] == ".");
  return whole ? Selector{} : result;
}

}  // namespace

Selector selector(const Op& op, std::size_t index) {
  if (index == 0) return {};
  const int input = static_cast<int>(index);
  if (const auto* file = std::get_if<FileOp>(&op)) return file_selector(*file, input);
  if (const auto* exec = std::get_if<ExecOp>(&op)) return exec_selector(*exec, input);
  return {};
}

Selector local_selector(const Op& op, std::size_t index) {
  Selector result = selector(op, index);
  if (result.kind == Selector::Kind::whole) {
    result.kind = Selector::Kind::paths;
    result.paths = {"."};
  }
  return result;
}

std::string canonical(const Selector& selector) {
  CanonicalWriter writer;
  writer.text("cbuild.selector").number(kKeyFormat).tag(static_cast<std::uint8_t>(selector.kind));
  writer.number(selector.paths.size());
  for (const std::string& path : selector.paths) writer.text(path);
  writer.number(selector.excludes.size());
  for (const std::string& pattern : selector.excludes) writer.text(pattern);
  writer.tag(selector.ignore_mode).tag(selector.ignore_owner).tag(selector.parents).tag(selector.required);
  if (selector.literal) writer.tag(1);
  if (!selector.follow) writer.tag(2);
  return writer.bytes();
}

}  // namespace cbuild::solver
