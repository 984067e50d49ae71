// SPDX-License-Identifier: Apache-2.0
// File actions (lowering.h). An action names what it works on by number: first the inputs of the operation, then the
// results of its actions. Actions that follow each other, with nobody else looking at what is between them, are one
// vertex and so one layer; where a result is copied from, or goes on in two ways, it is a vertex of its own.
#include <algorithm>
#include <optional>

#include "api/llb/lowering.h"
#include "base/error.h"
#include "base/pattern/path_pattern.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr std::int64_t kNone = -1, kNsPerSecond = 1'000'000'000;

std::string name_of(const DecodedOp& op, const pb::UserOpt& user, std::optional<std::int64_t>& from) {
  if (user.user_case() == pb::UserOpt::kById) return cat(user.by_id());
  if (user.user_case() == pb::UserOpt::USER_NOT_SET) return {};
  const pb::NamedUserOpt& named = user.by_name();
  if (named.name().empty() || named.name().find(':') != std::string::npos)
    reject(op, "file.actions.owner", cat(go_quote(named.name()), " is not the name of a user or group"));
  if (from && *from != named.input())
    reject(op, "file.actions.owner", "user and group are looked up in different inputs");
  from = named.input();
  return named.name();
}

std::optional<std::int64_t> seconds(const DecodedOp& op, std::int64_t timestamp) {
  if (timestamp == -1) return std::nullopt;
  if (timestamp < 0) reject(op, "file.actions.timestamp", cat(timestamp, " is before 1970"));
  return timestamp / kNsPerSecond;
}

std::uint32_t mode_of(const DecodedOp& op, std::int64_t value, const char* field) {
  if (value < 0 || value > 07777) reject(op, field, cat(value, " is not a mode of a file"));
  return static_cast<std::uint32_t>(value) & 0777;
}

void set_manner(const pb::FileActionCopy& copy, solver::CopyAction& out) {
  out.manner.follow = copy.follow_symlink();
  out.manner.contents = copy.dir_copy_contents();
  out.manner.make_parents = copy.create_dest_path();
  out.manner.match = !copy.allow_wildcard() || !copy.allow_empty_wildcard();
  out.manner.replace = copy.always_replace_existing_dest_paths();
  out.manner.includes.assign(copy.include_patterns().begin(), copy.include_patterns().end());
  out.manner.needed.assign(copy.required_paths().begin(), copy.required_paths().end());
}

/// The actions of one vertex while they are collected.
struct Chain {
  solver::FileOp file;
  std::vector<solver::VertexId> inputs;  ///< the first is the base
};

class FileLowering {
 public:
  explicit FileLowering(const OpLowering& lowering)
      : lowering_(lowering), op_(lowering.op), actions_(op_.op.file().actions()) {}

  std::vector<solver::VertexId> run() {
    if (actions_.empty()) reject(op_, "file.actions", "there is none");
    count_uses();
    std::vector<solver::VertexId> outputs;
    for (int i = 0; i < actions_.size(); ++i) add_action(i);
    for (int i = 0; i < actions_.size(); ++i) {
      const std::int64_t number = actions_[i].output();
      if (number == kNone) continue;
      outputs.resize(std::max(outputs.size(), static_cast<std::size_t>(number) + 1), solver::kNoInput);
      outputs[static_cast<std::size_t>(number)] = result(i);
    }
    return outputs;
  }

 private:
  std::int64_t first_result() const { return static_cast<std::int64_t>(lowering_.inputs.size()); }
  void count_uses();
  void use(int reader, std::int64_t number, const char* field, bool as_base);
  void add_action(int index);
  solver::VertexId result(int index);
  solver::VertexId source(std::int64_t number, const char* field);
  int input_of(Chain& chain, solver::VertexId vertex);
  std::string owner_of(Chain& chain, const pb::FileAction& action, const pb::ChownOpt& owner, bool given, int& input);
  solver::FileAction lower(Chain& chain, const pb::FileAction& action);
  solver::CopyAction lower_copy(Chain& chain, const pb::FileAction& action);

  const OpLowering& lowering_;
  const DecodedOp& op_;
  const google::protobuf::RepeatedPtrField<pb::FileAction>& actions_;
  std::vector<int> uses_;              ///< of each action's result, an output counting as one
  std::vector<bool> looked_at_;        ///< it is more than the base of one action
  std::vector<std::size_t> chain_of_;  ///< by action
  std::vector<Chain> chains_;
  std::vector<std::optional<solver::VertexId>> made_;  ///< by chain
};

/// A later action cannot be named: there are no cycles.
void FileLowering::use(int reader, std::int64_t number, const char* field, bool as_base) {
  if (number < kNone || number >= first_result() + reader)
    reject(
        op_, field,
        cat("action ", reader, " names ", number, ", of ", first_result(), " inputs and ", reader, " earlier actions"));
  if (number < first_result()) return;
  const auto action = static_cast<std::size_t>(number - first_result());
  ++uses_[action];
  if (!as_base) looked_at_[action] = true;
}

void FileLowering::count_uses() {
  const auto count = static_cast<std::size_t>(actions_.size());
  uses_.assign(count, 0);
  looked_at_.assign(count, false);
  chain_of_.assign(count, 0);
  std::vector<bool> outputs(count, false);
  for (int i = 0; i < actions_.size(); ++i) {
    const pb::FileAction& action = actions_[i];
    use(i, action.input(), "file.actions.input", true);
    use(i, action.secondary_input(), "file.actions.secondary_input", false);
    if (action.output() == kNone) continue;
    if (action.output() < 0 || static_cast<std::size_t>(action.output()) >= count ||
        outputs[static_cast<std::size_t>(action.output())])
      reject(op_, "file.actions.output", cat(action.output(), " of action ", i));
    outputs[static_cast<std::size_t>(action.output())] = true;
    looked_at_[static_cast<std::size_t>(i)] = true;
  }
  const auto first_missing = std::find(outputs.begin(), outputs.end(), false);
  if (std::find(first_missing, outputs.end(), true) != outputs.end() || first_missing == outputs.begin())
    reject(op_, "file.actions.output", cat("no action has the output ", first_missing - outputs.begin()));
}

void FileLowering::add_action(int index) {
  const pb::FileAction& action = actions_[index];
  const std::int64_t before = action.input() - first_result();
  const auto last = static_cast<std::size_t>(std::max<std::int64_t>(before, 0));
  if (before >= 0 && uses_[last] == 1 && !looked_at_[last]) {
    chain_of_[static_cast<std::size_t>(index)] = chain_of_[last];
  } else {
    chain_of_[static_cast<std::size_t>(index)] = chains_.size();
    chains_.push_back({{}, {source(action.input(), "file.actions.input")}});
    made_.emplace_back();
  }
  Chain& chain = chains_[chain_of_[static_cast<std::size_t>(index)]];
  solver::FileAction lowered = lower(chain, action);
  chain.file.actions.push_back(std::move(lowered));
}

solver::VertexId FileLowering::result(int index) {
  const std::size_t at = chain_of_[static_cast<std::size_t>(index)];
  if (!made_[at]) made_[at] = lowering_.add(chains_[at].file, chains_[at].inputs);
  return *made_[at];
}

/// As a base, with layers.
solver::VertexId FileLowering::source(std::int64_t number, const char* field) {
  return number >= first_result() ? result(static_cast<int>(number - first_result())) : lowering_.tree(number, field);
}

int FileLowering::input_of(Chain& chain, solver::VertexId vertex) {
  const auto known = std::find(chain.inputs.begin() + 1, chain.inputs.end(), vertex);
  const auto at = static_cast<int>(known - chain.inputs.begin());
  if (known == chain.inputs.end()) chain.inputs.push_back(vertex);
  return at;
}

/// "user:group"; where a name is looked up somewhere else than in the base, that becomes an input.
std::string FileLowering::owner_of(Chain& chain, const pb::FileAction& action, const pb::ChownOpt& owner, bool given,
                                   int& input) {
  if (!given) return {};
  std::optional<std::int64_t> from;
  std::string user = name_of(op_, owner.user(), from), group = name_of(op_, owner.group(), from);
  if (user.empty() && group.empty()) return {};
  if (user.empty()) user = "0";
  if (from && *from < 0)
    reject(op_, "file.actions.owner.input",
           cat("names cannot be looked up in scratch: ", user, group.empty() ? "" : ":", group));
  if (from) {
    // The chain's first action has its base for an input; later ones go on with what is in the making.
    const bool base = chain.file.actions.empty()
                          ? *from == action.input()
                          : lowering_.inputs.size() > static_cast<std::size_t>(*from) &&
                                lowering_.tree(*from, "file.actions.owner.input") == chain.inputs.front();
    if (!base) {
      if (*from >= first_result() + actions_.size() || (*from >= first_result() && *from == action.input()))
        reject(op_, "file.actions.owner.input", cat(*from, " has no names to look up yet"));
      input = input_of(chain, source(*from, "file.actions.owner.input"));
    }
  }
  return group.empty() ? user : cat(user, ":", group);
}

std::string absolute_path(const std::string& path) { return join_path("/", path); }

/// A slash at the end says that it is a directory.
std::string destination_path(const std::string& path) {
  std::string out = absolute_path(path);
  if ((path.ends_with('/') || path.ends_with("/.")) && out != "/") out += '/';
  return out;
}

std::string octal_text(std::uint32_t mode) {
  std::string out;
  for (; mode != 0; mode >>= 3) out.insert(out.begin(), static_cast<char>('0' + (mode & 7)));
  return cat("0", out);
}

solver::CopyAction FileLowering::lower_copy(Chain& chain, const pb::FileAction& action) {
  const pb::FileActionCopy& copy = action.copy();
  solver::CopyAction out;
  out.input = input_of(chain, action.secondary_input() >= first_result() || action.secondary_input() == kNone
                                  ? source(action.secondary_input(), "file.actions.secondary_input")
                                  : lowering_.input(action.secondary_input(), "file.actions.secondary_input"));
  std::string path = absolute_path(copy.src()).substr(1);
  if (path.empty()) path = ".";
  out.sources = {copy.allow_wildcard() ? path : escape_glob(path)};
  out.destination = destination_path(copy.dest());
  out.excludes.assign(copy.exclude_patterns().begin(), copy.exclude_patterns().end());
  set_manner(copy, out);
  out.chown = owner_of(chain, action, copy.owner(), copy.has_owner(), out.manner.owner_input);
  if (!copy.mode_str().empty())
    out.chmod = copy.mode_str();
  else if (copy.mode() != -1)
    out.chmod = octal_text(copy.mode() < 0 || copy.mode() > 07777 ? mode_of(op_, copy.mode(), "file.actions.copy.mode")
                                                                  : static_cast<std::uint32_t>(copy.mode()));
  out.unpack = copy.attempt_unpack();
  out.mtime_s = seconds(op_, copy.timestamp());
  return out;
}

solver::FileAction FileLowering::lower(Chain& chain, const pb::FileAction& action) {
  if (!action.has_copy() && action.secondary_input() != kNone)
    reject(op_, "file.actions.secondary_input", "only a copy has one");
  switch (action.action_case()) {
    case pb::FileAction::kCopy:
      return lower_copy(chain, action);
    case pb::FileAction::kMkfile: {
      const pb::FileActionMkFile& file = action.mkfile();
      solver::MakeFileAction out{absolute_path(file.path()),
                                 file.data(),
                                 mode_of(op_, file.mode(), "file.actions.mkfile.mode"),
                                 {},
                                 {},
                                 seconds(op_, file.timestamp()),
                                 false,
                                 0};
      out.chown = owner_of(chain, action, file.owner(), file.has_owner(), out.owner_input);
      return out;
    }
    case pb::FileAction::kMkdir: {
      const pb::FileActionMkDir& directory = action.mkdir();
      solver::MakeDirAction out{absolute_path(directory.path()),
                                mode_of(op_, directory.mode(), "file.actions.mkdir.mode"),
                                {},
                                seconds(op_, directory.timestamp()),
                                directory.make_parents(),
                                0};
      out.owner = owner_of(chain, action, directory.owner(), directory.has_owner(), out.owner_input);
      return out;
    }
    case pb::FileAction::kRm:
      return solver::RemoveAction{absolute_path(action.rm().path()), action.rm().allow_wildcard(),
                                  !action.rm().allow_not_found()};
    case pb::FileAction::kSymlink: {
      const pb::FileActionSymlink& link = action.symlink();
      if (link.old_path().empty()) reject(op_, "file.actions.symlink.old_path", "it is empty");
      solver::SymlinkAction out{link.old_path(), absolute_path(link.new_path()), {}, seconds(op_, link.timestamp()), 0};
      out.owner = owner_of(chain, action, link.owner(), link.has_owner(), out.owner_input);
      return out;
    }
    case pb::FileAction::ACTION_NOT_SET:
      break;
  }
  reject(op_, "file.actions", "an action does nothing");
}

}  // namespace

std::vector<solver::VertexId> lower_file(const OpLowering& lowering) { return FileLowering(lowering).run(); }

}  // namespace cbuild::api
