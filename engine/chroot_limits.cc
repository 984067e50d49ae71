// SPDX-License-Identifier: Apache-2.0
#include "engine/chroot_limits.h"

#include <map>
#include <variant>

#include "base/text.h"

namespace cbuild::engine {
namespace {

std::string impossible_mount(const solver::ExecOp& op) {
  std::map<std::string, std::string> sources;  ///< by cache
  for (const solver::ExecMount& mount : op.mounts) {
    if (const auto* tmpfs = std::get_if<solver::TmpfsMount>(&mount.what); tmpfs != nullptr && tmpfs->size_bytes != 0)
      return cat("the size of --mount=type=tmpfs,target=", mount.target);
    const auto* cache = std::get_if<solver::CacheMount>(&mount.what);
    if (cache == nullptr) continue;
    const auto [known, is_first] = sources.emplace(cache->id, cache->source);
    if (!is_first && known->second != cache->source)
      return cat("two parts of the cache mount ", go_quote(cache->id), " in one command");
  }
  return {};
}

}  // namespace

std::string impossible_in_chroot(const solver::Vertex& command) {
  const auto* op = std::get_if<solver::ExecOp>(&command.op);
  if (op == nullptr) return {};
  if (op->network == NetworkMode::none) return "--network=none";
  if (command.settings.own_network && op->network == NetworkMode::host) return "a network of its own (--network)";
  if (op->insecure) return "--security=insecure";
  if (!op->devices.empty()) return "--device";
  if (command.settings.shm_size != 0) return "--shm-size";
  return impossible_mount(*op);
}

}  // namespace cbuild::engine
