// SPDX-License-Identifier: Apache-2.0
#include "api/llb/op_names.h"

#include <vector>

#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kMaxName = 2000;  // names of merges have those of their inputs in them

std::string action_name(const pb::FileAction& action) {
  switch (action.action_case()) {
    case pb::FileAction::kCopy:
      return cat("copy ", action.copy().src(), " ", action.copy().dest());
    case pb::FileAction::kMkfile:
      return cat("mkfile ", action.mkfile().path());
    case pb::FileAction::kMkdir:
      return cat("mkdir ", action.mkdir().path());
    case pb::FileAction::kRm:
      return cat("rm ", action.rm().path());
    case pb::FileAction::kSymlink:
      return cat("symlink ", action.symlink().new_path(), " -> ", action.symlink().old_path());
    case pb::FileAction::ACTION_NOT_SET:
      break;
  }
  return "nothing";
}

std::string file_name(const pb::FileOp& file) {
  std::vector<std::string> names;
  for (const pb::FileAction& action : file.actions()) names.push_back(action_name(action));
  return join(names, ", ");
}

std::string full_name(const pb::Op& op, const std::function<std::string(std::int64_t)>& name_of) {
  const auto side = [&](std::int64_t input) {
    return input < 0 ? std::string("scratch") : cat("(", name_of(input), ")");
  };
  switch (op.op_case()) {
    case pb::Op::kExec:
      return join(std::vector<std::string>(op.exec().meta().args().begin(), op.exec().meta().args().end()), " ");
    case pb::Op::kSource:
      return op.source().identifier();
    case pb::Op::kFile:
      return file_name(op.file());
    case pb::Op::kBuild:
      return "build";
    case pb::Op::kMerge: {
      std::vector<std::string> names;
      for (int i = 0; i < op.inputs_size(); ++i) names.push_back(name_of(i));
      return cat("merge (", join(names, ", "), ")");
    }
    case pb::Op::kDiff:
      return cat("diff ", side(op.diff().lower().input()), " -> ", side(op.diff().upper().input()));
    case pb::Op::kPassthrough:
      return cat("passthrough ", op.passthrough().id());
    case pb::Op::OP_NOT_SET:
      break;
  }
  return "an operation of no kind";
}

}  // namespace

std::string op_name(const pb::Op& op, const std::function<std::string(std::int64_t)>& name_of) {
  std::string name = full_name(op, name_of);
  if (name.size() > kMaxName) name = cat(name.substr(0, kMaxName), "...");
  return name;
}

}  // namespace cbuild::api
