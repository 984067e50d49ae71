// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/command_output.h"

#include "base/error.h"
#include "base/text.h"
#include "cache/cached_layers.h"

namespace cbuild::solver::ops {
namespace {

/// The layer alone is not enough: commands that change nothing may have the same.
Digest output_key(const Result& command, const std::string& target) {
  return CanonicalWriter().text("output").text(target).digest(command.identity).hash();
}

/// Stays the same when the command's result is put on another base.
Digest own_layer(cache::Store& store, const Result& command) {
  const auto chain = store.chain(command.id);
  if (!chain) throw Error(ErrorCode::missing_content, cat("store: chain ", command.id.str(), " is gone"));
  return chain->layer;
}

}  // namespace

void set_command_output(cache::Store& store, const Result& command, const std::string& target, const Result& output) {
  store.set_memo(own_layer(store, command), output_key(command, target), output.id);
}

Result command_output(cache::Store& store, const Result& command, const std::string& target) {
  const Digest layer = own_layer(store, command);
  const auto id = store.memo(layer, output_key(command, target));
  const auto chain = id ? store.chain(*id) : std::nullopt;
  if (chain && store.layer(chain->layer)) return {chain->id, chain->identity};
  cache::forget_missing_layer(store, layer);
  throw Error(ErrorCode::missing_content, cat("what the command left at ", target, " is gone"));
}

}  // namespace cbuild::solver::ops
