// SPDX-License-Identifier: Apache-2.0
#include "bake/contexts.h"

#include "bake/names.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

constexpr std::string_view kWorkingDirectory = "cwd://";

void settle(Target& target) {
  if (target.context == "-") throw Error(ErrorCode::usage, "context from stdin not allowed in bake");
  if (target.dockerfile == "-") throw Error(ErrorCode::usage, "dockerfile from stdin not allowed in bake");
  std::string& context = *target.context;
  if (context.starts_with(kWorkingDirectory)) context.erase(0, kWorkingDirectory.size());
  if (!is_remote(context)) context = clean_path(context);
}

}  // namespace

void settle_contexts(Resolved& resolved) {
  for (auto& [_, target] : resolved.targets) settle(target);
}

bool is_remote_definition(const std::string& argument) { return is_remote(argument); }

}  // namespace cbuild::bake
