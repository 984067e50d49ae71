// SPDX-License-Identifier: Apache-2.0
//
// Layers in and out: the inputs of a step are brought to disk once in a build, its changes become a layer on its base.
#include "solver/ops/step_context.h"

#include "base/error.h"
#include "base/owner.h"
#include "base/pattern/path_pattern.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/tree_digest.h"
#include "cache/layer_tables.h"
#include "cache/step_layer.h"
#include "cache/unpacker.h"
#include "solver/ops/file_op.h"
#include "solver/ops/planned_walk.h"
#include "solver/ops/write_tree.h"

namespace cbuild::solver::ops {
namespace {

Digest local_key(const LocalSource& source, const Digest& content) {
  return CanonicalWriter().tag('L').text(source.name).digest(content).hash();
}

/// What commands run on, or on what stands on it: its tree will have to be there.
std::unordered_set<VertexId> roots_of_commands(const Graph& graph) {
  std::unordered_set<VertexId> out;
  for (auto id = static_cast<VertexId>(graph.size()); id-- > 0;) {
    const Vertex& vertex = graph[id];
    if (vertex.inputs.empty() || vertex.inputs[0] == kNoInput) continue;
    if (std::holds_alternative<ExecOp>(vertex.op) || out.contains(id)) out.insert(vertex.inputs[0]);
  }
  return out;
}

/// What commands mount of other results.
std::unordered_set<Digest> selections_of_commands(const Graph& graph) {
  std::unordered_set<Digest> out;
  for (std::size_t id = 0; id < graph.size(); ++id) {
    const Vertex& vertex = graph[static_cast<VertexId>(id)];
    if (!std::holds_alternative<ExecOp>(vertex.op)) continue;
    for (std::size_t i = 1; i < vertex.inputs.size(); ++i) out.insert(sha256(canonical(selector(vertex.op, i))));
  }
  return out;
}

cache::Layer new_layer(const std::string& description) {
  cache::Layer layer;
  layer.id = cache::random_layer_id();  // two runs of one step may differ in ways no digest here sees (times)
  layer.description = description;
  return layer;
}

cache::Staging write_as_tree(cache::Store& store, const PlannedTree& plan, const RootMetadata& root,
                             const CancelSource* cancel) {
  cache::Staging staging = store.stage("copy");
  give_owner_and_mode(staging, root.owner.uid, root.owner.gid, root.mode);
  write_tree(plan, staging.tree_fd(), staging.side(), cancel);
  return staging;
}

/// nullopt if the layer has to be a tree.
std::optional<cache::CopiedLayer> write_as_image(cache::Store& store, const PlannedTree& plan, const RootMetadata& root,
                                                 const Digest& series, const CancelSource* cancel) {
  if (!cache::should_write_image(store, count_files(plan))) return std::nullopt;
  try {
    return write_image(plan, root, store, series, cancel);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    return std::nullopt;
  }
}

}  // namespace

StepContext::StepContext(const Graph& solved, BuildServices given)
    : graph(solved),
      services(std::move(given)),
      local_trees(services.store),
      foreign_layers(services.store, services.read_range),
      below_commands_(roots_of_commands(solved)),
      mounted_selections_(selections_of_commands(solved)) {}

const LocalSource* StepContext::local_source(const Vertex& reader, std::size_t index) const {
  const VertexId id = reader.inputs.at(index);
  return id == kNoInput ? nullptr : std::get_if<LocalSource>(&graph[id].op);
}

bool StepContext::is_materialized(const Digest& chain) {
  const std::lock_guard lock(materialized_mutex);
  return chain.empty() || materialized.contains(chain);
}

cache::BlobAccess StepContext::blob_access(TaskId task) {
  const auto report = [this, task](const cache::Layer& layer, std::uint64_t current, std::uint64_t total) {
    services.progress.on_event(TaskCounter{task,
                                           cat("extracting ", layer.blob ? layer.blob->digest.str() : layer.id.str()),
                                           current, total, true, current == total});
  };
  return {services.fetch_blob, &services.cancel, report,
          [this](const cache::Layer& layer) { return fetch_table(layer); },
          [this](const cache::Layer& layer, bool is_here) { return foreign_layers.find(layer, is_here); }};
}

/// What goes wrong costs a pass over the layer.
bool StepContext::fetch_table(const cache::Layer& layer) {
  const auto table = services.remote_table && services.fetch_blob ? services.remote_table(layer) : std::nullopt;
  if (!table) return false;
  try {
    if (!services.store.blobs().size(table->blob->digest)) services.fetch_blob(*table, services.store.blobs());
    cache::note_layer_table(services.store, layer, *table->blob);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space) throw;
    return false;
  }
}

void StepContext::materialize(const Digest& chain, TaskId task) {
  if (is_materialized(chain)) return;
  const cache::BlobAccess access = blob_access(task);
  cache::materialize(services.store, chain, access.fetch, access.cancel, access.progress);
  const std::lock_guard lock(materialized_mutex);
  materialized.insert(chain);
}

cache::TreeView StepContext::lazy_view(const Digest& chain, TaskId task, cache::Missing missing) {
  if (chain.empty()) return {{}, true};
  if (is_materialized(chain) && !(missing == cache::Missing::read_files && reads_parts(chain)))
    return cache::open_view(services.store, chain);
  return cache::open_lazy_view(services.store, chain, blob_access(task), missing);
}

cache::Missing StepContext::missing_sources(const Selector& selector) const {
  const bool mounted = !mounted_selections_.empty() && mounted_selections_.contains(sha256(canonical(selector)));
  return mounted ? cache::Missing::make_trees : cache::Missing::read_files;
}

bool StepContext::reads_parts(const Digest& chain) { return foreign_layers.any_of(services.store.chain_layers(chain)); }

bool StepContext::reads_trees(const Digest& chain) {
  return foreign_layers.leave_out(services.store.chain_layers(chain));
}

Result StepContext::add_layer(const Digest& parent, cache::Staging staging, const Digest& identity,
                              const std::string& description) {
  return add_tree(parent, new_layer(description), std::move(staging), identity);
}

Result StepContext::add_tree(const Digest& parent, cache::Layer layer, cache::Staging staging, const Digest& identity) {
  return materialized_on(parent,
                         cache::add_tree_on(services.store, parent, std::move(layer), std::move(staging), identity));
}

Result StepContext::materialized_on(const Digest& parent, const cache::Chain& chain) {
  const std::lock_guard lock(materialized_mutex);
  if (parent.empty() || materialized.contains(parent)) materialized.insert(chain.id);
  return {chain.id, chain.identity};
}

Result StepContext::add_copy(const Digest& parent, const PlannedTree& plan, const RootMetadata& root,
                             const Digest& series, const Digest& identity, const std::string& description) {
  cache::Store& store = services.store;
  cache::Layer layer = new_layer(description);
  auto image = plan.removes() ? std::nullopt : write_as_image(store, plan, root, series, &services.cancel);
  if (!image) return add_tree(parent, std::move(layer), write_as_tree(store, plan, root, &services.cancel), identity);
  return materialized_on(parent, cache::add_copied_layer(store, parent, std::move(layer), std::move(*image), identity));
}

Result StepContext::add_packed(cache::Packer& packer, const Digest& parent, const PlannedTree& plan,
                               const Digest& identity, const std::string& description) {
  PlannedWalk entries(plan);
  const oci::layer::PackedLayer packed = packer.pack(entries);
  cache::Layer layer = new_layer(description);
  layer.diff_id = packed.diff_id;
  layer.blob = packed.descriptor;
  const cache::Chain chain = cache::add_packed_on(services.store, parent, std::move(layer), identity);
  return {chain.id, chain.identity};
}

std::string StepContext::local_path(const LocalSource& source, const std::string& path) {
  const Selector selection{.paths = {clean_path(cat("/", path)).substr(1)}, .literal = true};
  cache::LocalTree& tree = local_trees.tree(source);
  return cache::select(tree.view(), selection, tree.ignore()).at(0).path;
}

Result StepContext::local_snapshot(const LocalSource& source, const std::string& path) {
  const Selector selection{.paths = {escape_glob(path)}, .parents = true};
  cache::LocalTree& tree = local_trees.tree(source);
  const Digest key = local_key(source, tree.digest(selection));
  if (const auto known = services.store.find(key))
    if (const auto chain = services.store.chain(known->chain)) return {chain->id, chain->identity};
  FileOp op;
  op.actions.emplace_back(CopyAction{.input = 1, .sources = selection.paths, .destination = "/", .parents = true});
  const std::vector<CopySource> sources{{}, {&tree.view(), &tree.ignore(), true}};
  const PlannedTree plan = plan_file_actions(op, nullptr, sources, services.store, &services.cancel);
  const Digest series = CanonicalWriter().text("local directory").text(source.path).text(path).hash();
  const Result result = add_copy({}, plan, {}, series, key, cat("local directory ", source.name));
  cache::Record record;
  record.key = key;
  record.chain = result.id;
  record.created_ns = sys::now_ns();
  record.step_name = cat("local directory ", source.name);
  record.parts.push_back({"files", key.str()});
  services.store.publish(record);
  return result;
}

}  // namespace cbuild::solver::ops
