// SPDX-License-Identifier: Apache-2.0
//
// Gives each op to the code that carries it out. Copies, sources, merges and differences are done here at once, on the
// thread of the caller if all they read is on this machine, else on one that may wait; a command (exec_step.cc) is
// started and its completion comes from the backend. The state that steps share is in step_context.h.
#include "solver/ops/executor.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/pattern/path_pattern.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/tree_digest.h"
#include "cache/step_layer.h"
#include "cache/unpacker.h"
#include "solver/ops/command_output.h"
#include "solver/ops/exec_step.h"
#include "solver/ops/file_op.h"
#include "solver/ops/planned_walk.h"
#include "solver/ops/rootfs_path.h"
#include "solver/ops/step_context.h"
#include "solver/ops/tree_difference.h"
#include "solver/sources/sources.h"

namespace cbuild::solver::ops {
namespace {

/// Opens the sources of a file op; owns the views.
struct OpenedSources {
  std::vector<std::unique_ptr<cache::TreeView>> views;
  std::vector<CopySource> sources;
};

OpenedSources open_sources(StepContext& context, const ExecuteRequest& request) {
  OpenedSources opened;
  opened.sources.resize(request.inputs.size());
  for (std::size_t i = 1; i < request.inputs.size(); ++i) {
    if (const LocalSource* local = context.local_source(*request.vertex, i)) {
      cache::LocalTree& tree = context.local_trees.tree(*local);
      opened.sources[i] = {&tree.view(), &tree.ignore(), true};
      continue;
    }
    // Whoever copies wants content, but perhaps of few layers.
    const cache::Missing missing = context.missing_sources(selector(request.vertex->op, i));
    opened.views.push_back(
        std::make_unique<cache::TreeView>(context.lazy_view(request.inputs[i].id, request.id, missing)));
    opened.sources[i] = {opened.views.back().get(), nullptr, false};
  }
  return opened;
}

/// A layer's archive says nothing of the root, so a layer that has to keep an unusual one needs a tree.
bool has_plain_root(const cache::TreeView* base) {
  const auto root = base == nullptr ? std::nullopt : base->lookup("");
  return !root || ((root->st.st_mode & 07777) == 0755 && root->st.st_uid == 0 && root->st.st_gid == 0);
}

/// A copy looks at names and metadata of its base only.
cache::Missing missing_base(const StepContext& context, VertexId vertex) {
  return context.leads_to_trees(vertex) ? cache::Missing::make_trees : cache::Missing::make_tables;
}

using FilesByLayer = std::map<std::pair<const cache::TreeView*, std::size_t>, std::vector<std::string>>;

void find_sources(const PlannedNode& node, FilesByLayer& files) {
  if (node.source)
    files[{node.source->tree, node.source->layer}].push_back(child_path(node.source->path, node.source_name));
  for (const auto& [name, child] : node.children) find_sources(child, files);
}

/// Brings the files that the plan copies, so that none is brought by a worker that writes or packs.
void bring_sources(const PlannedTree& plan) {
  FilesByLayer files;
  find_sources(plan.root(), files);
  for (const auto& [layer, paths] : files) layer.first->bring(layer.second, paths);
}

/// The same copy, of the same directories.
Digest series_of(const StepContext& context, const Vertex& vertex, const FileOp& op) {
  CanonicalWriter out;
  out.text("copies").text(canonical(Op(op)));
  for (std::size_t i = 0; i < vertex.inputs.size(); ++i)
    if (const LocalSource* local = context.local_source(vertex, i)) out.number(i).text(local->path);
  return out.hash();
}

Result run_file_op(StepContext& context, const ExecuteRequest& request, const FileOp& op) {
  cache::Store& store = context.services.store;
  const Result base = request.inputs.empty() ? Result{} : request.inputs[0];
  std::optional<cache::TreeView> view;
  if (!base.id.empty()) view.emplace(context.lazy_view(base.id, request.id, missing_base(context, request.id)));
  const OpenedSources opened = open_sources(context, request);
  const PlannedTree plan =
      plan_file_actions(op, view ? &*view : nullptr, opened.sources, store, &context.services.cancel);
  if (!opened.views.empty()) bring_sources(plan);
  // A copy is a function of its key, so its identity is the key: no need to look at the files.
  const Digest identity = CanonicalWriter().tag('f').digest(request.key).hash();
  const std::optional<PackedCopies>& packed = context.services.packed;
  if (packed && packed->vertices.contains(request.id) && !plan.removes() && has_plain_root(view ? &*view : nullptr))
    return context.add_packed(packed->packer, base.id, plan, identity, request.vertex->name);
  RootMetadata root;
  if (const auto below = view ? view->lookup("") : std::nullopt)
    root = {below->st.st_mode, {below->st.st_uid, below->st.st_gid}};
  return context.add_copy(base.id, plan, root, series_of(context, *request.vertex, op), identity, request.vertex->name);
}

Result run_merge(StepContext& context, const ExecuteRequest& request) {
  cache::Store& store = context.services.store;
  Result merged = request.inputs.at(0);
  for (std::size_t i = 1; i < request.inputs.size(); ++i) {
    // The identity of the whole and the place in it stand for the content; ids of layers differ between machines.
    std::uint64_t place = 0;
    for (const Digest& layer : store.chain_layers(request.inputs[i].id)) {
      const Digest identity =
          CanonicalWriter().tag('m').digest(merged.identity).digest(request.inputs[i].identity).number(place++).hash();
      const cache::Chain chain = store.extend(merged.id, layer, identity);
      merged = {chain.id, chain.identity};
    }
  }
  return merged;
}

const NetworkAccess& network_of(const StepContext& context) {
  if (!context.services.network) throw Error(ErrorCode::internal, "sources on the network need network access");
  return *context.services.network;
}

Result run_http(StepContext& context, const ExecuteRequest& request, const HttpSource& op) {
  cache::Store& store = context.services.store;
  network_of(context).urls.fetch(op.url, op.content);
  cache::Staging staging = store.stage("url");
  make_url_tree(store, op, staging, &context.services.cancel);
  const Digest identity = CanonicalWriter().tag('u').digest(request.key).hash();
  return context.add_layer({}, std::move(staging), identity, request.vertex->name);
}

Result run_git(StepContext& context, const ExecuteRequest& request, const GitSource& op) {
  cache::Staging staging = context.services.store.stage("checkout");
  network_of(context).git.check_out(op, staging);
  const Digest identity = CanonicalWriter().tag('g').digest(request.key).hash();
  return context.add_layer({}, std::move(staging), identity, request.vertex->name);
}

bool may_wait_for_network(const Op& op) {
  return std::holds_alternative<HttpSource>(op) || std::holds_alternative<GitSource>(op);
}

/// Trees that do not stand on each other: what differs, entry by entry.
Result compare_trees(StepContext& context, const ExecuteRequest& request) {
  cache::Store& store = context.services.store;
  for (const Result& input : request.inputs) context.materialize(input.id, request.id);
  const cache::TreeView lower = cache::open_view(store, request.inputs.at(0).id);
  const cache::TreeView upper = cache::open_view(store, request.inputs.at(1).id);
  const PlannedTree plan = plan_difference(lower, upper, &context.services.cancel);
  RootMetadata root;
  if (const auto top = upper.lookup("")) root = {top->st.st_mode, {top->st.st_uid, top->st.st_gid}};
  const Digest identity = CanonicalWriter().tag('d').digest(request.key).hash();
  return context.add_copy({}, plan, root, sha256("difference"), identity, request.vertex->name);
}

/// Whether the layers of input 1 are those of input 0 and more.
bool stands_on_lower(cache::Store& store, const ExecuteRequest& request) {
  const auto lower = store.chain_layers(request.inputs.at(0).id);
  const auto upper = store.chain_layers(request.inputs.at(1).id);
  return lower.size() <= upper.size() && std::equal(lower.begin(), lower.end(), upper.begin());
}

/// The layers of input 1 above input 0, as a stack of their own.
Result run_diff(StepContext& context, const ExecuteRequest& request) {
  cache::Store& store = context.services.store;
  if (!stands_on_lower(store, request)) return compare_trees(context, request);
  const auto upper = store.chain_layers(request.inputs.at(1).id);
  Result diff;
  for (std::size_t i = store.chain_layers(request.inputs.at(0).id).size(); i < upper.size(); ++i) {
    const Digest identity = CanonicalWriter().tag('d').digest(request.key).number(i).hash();
    const cache::Chain chain = store.extend(diff.id, upper[i], identity);
    diff = {chain.id, chain.identity};
  }
  return diff;
}

/// A command or a copy makes one layer on its base, which is input 0.
Result put_on_base(cache::Store& store, const ExecuteRequest& request, const Result& found) {
  const auto chain = store.chain(found.id);
  if (!chain) throw Error(ErrorCode::missing_content, cat("store: chain ", found.id.str(), " is gone"));
  const Digest base = request.inputs.empty() ? Digest{} : request.inputs[0].id;
  if (chain->parent == base) return found;
  const cache::Chain rebased = store.extend(base, chain->layer, found.identity);
  return {rebased.id, rebased.identity};
}

bool may_wait_for_lock(const Op& op) {
  const auto* exec = std::get_if<ExecOp>(&op);
  return exec != nullptr && std::any_of(exec->mounts.begin(), exec->mounts.end(), [](const ExecMount& mount) {
           return std::holds_alternative<CacheMount>(mount.what);
         });
}

}  // namespace

struct StoreExecutor::Impl {
  Impl(const Graph& graph, BuildServices services) : context(graph, std::move(services)) {}

  ExecBackend& exec_backend(const CommandServices& commands);
  Outcome run(const ExecuteRequest& request);
  void start_exec(const ExecuteRequest& request, Completion done);

  std::mutex digest_mutex;  // guards the digests that local trees cache
  std::mutex mutex;         // guards running, failed and cancelled
  std::vector<std::weak_ptr<ExecStep>> running;
  std::map<VertexId, FailedCommand> failed;
  bool cancelled = false;
  std::once_flag backend_made;
  std::unique_ptr<ExecBackend> backend;  ///< before the context, whose threads use it until they end
  StepContext context;
};

StoreExecutor::StoreExecutor(const Graph& graph, BuildServices services)
    : impl_(std::make_unique<Impl>(graph, std::move(services))) {}
StoreExecutor::~StoreExecutor() = default;

Digest StoreExecutor::digest_local(const Vertex& source, const Selector& selector, std::vector<KeyPart>* parts) {
  cache::LocalTree& tree = impl_->context.local_trees.tree(std::get<LocalSource>(source.op));
  const std::lock_guard lock(impl_->digest_mutex);
  const Digest digest = tree.digest(selector, parts);
  return digest;
}

Digest StoreExecutor::digest_result(const Result& result, const Selector& selector, std::vector<KeyPart>* parts) {
  if (selector.kind == Selector::Kind::whole) return result.identity;
  cache::Store& store = impl_->context.services.store;
  const Digest selection = sha256(canonical(selector));
  StepContext& context = impl_->context;
  const cache::Missing missing = context.missing_sources(selector);
  const bool by_trees = missing == cache::Missing::make_trees;
  const auto known = store.memo(result.id, selection);
  if (known && (by_trees || context.reads_trees(result.id))) return *known;
  const cache::TreeView view = context.lazy_view(result.id, 0, missing);
  static const PathPatternList kNothing;
  const Digest digest = cache::digest_tree(view, selector, kNothing, parts);
  // What a layer's own table says is not for other builds to believe.
  if (!result.id.empty() && (by_trees || !context.reads_parts(result.id))) store.set_memo(result.id, selection, digest);
  return digest;
}

Result StoreExecutor::rebase(const ExecuteRequest& request, const Result& found) {
  const Op& op = request.vertex->op;
  // They are made of their inputs' layers and of nothing else.
  if (std::holds_alternative<MergeOp>(op)) return run_merge(impl_->context, request);
  if (std::holds_alternative<DiffOp>(op) && stands_on_lower(impl_->context.services.store, request))
    return run_diff(impl_->context, request);
  const bool makes_layer = std::holds_alternative<ExecOp>(op) || std::holds_alternative<FileOp>(op);
  return makes_layer && !found.id.empty() ? put_on_base(impl_->context.services.store, request, found) : found;
}

Outcome StoreExecutor::Impl::run(const ExecuteRequest& request) {
  try {
    const Op& op = request.vertex->op;
    if (const auto* image = std::get_if<ImageSource>(&op)) return image_result(context.services.store, *image);
    if (const auto* file = std::get_if<FileOp>(&op)) return run_file_op(context, request, *file);
    if (const auto* http = std::get_if<HttpSource>(&op)) return run_http(context, request, *http);
    if (const auto* git = std::get_if<GitSource>(&op)) return run_git(context, request, *git);
    if (std::holds_alternative<MergeOp>(op)) return run_merge(context, request);
    if (std::holds_alternative<DiffOp>(op)) return run_diff(context, request);
    if (const auto* output = std::get_if<OutputOp>(&op))
      return command_output(context.services.store, request.inputs.at(0), output->target);
    throw Error(ErrorCode::internal, cat("no way to carry out ", request.vertex->name));
  } catch (Error& error) {
    return StepFailure{error, 0, {}};
  } catch (const std::exception& error) {
    return StepFailure{Error(ErrorCode::internal, error.what()), 0, {}};
  }
}

ExecBackend& StoreExecutor::Impl::exec_backend(const CommandServices& commands) {
  std::call_once(backend_made, [&] { backend = commands.backend(context); });
  return *backend;
}

void StoreExecutor::Impl::start_exec(const ExecuteRequest& request, Completion done) {
  const std::optional<CommandServices>& commands = context.services.commands;
  if (!commands) return done(StepFailure{Error(ErrorCode::internal, "commands cannot be run here"), 0, {}});
  KeepFailed keep;
  if (commands->keep_failed)
    keep = [this](const ExecuteRequest& of, cache::Staging changes) {
      const std::lock_guard lock(mutex);
      failed.emplace(of.id, FailedCommand{of, std::move(changes)});
    };
  auto step =
      std::make_shared<ExecStep>(ExecServices{context, exec_backend(*commands), commands->logs, commands->log_limits,
                                              commands->masked, std::move(keep), commands->on_use},
                                 request, std::move(done));
  {
    const std::lock_guard lock(mutex);
    std::erase_if(running, [](const auto& weak) { return weak.expired(); });
    running.push_back(step);
    if (cancelled) step->stop();
  }
  step->start();
}

void StoreExecutor::execute(const ExecuteRequest& request, Completion done) {
  Impl& impl = *impl_;
  const bool exec = std::holds_alternative<ExecOp>(request.vertex->op);
  auto work = [&impl, exec, request, done = std::move(done)]() mutable {
    if (exec)
      impl.start_exec(request, std::move(done));
    else
      done(impl.run(request));
  };
  // Work that may have to wait for a download, the network or a lock does so on a thread of its own, never on a TBB
  // worker.
  const bool at_hand = !may_wait_for_lock(request.vertex->op) &&
                       std::all_of(request.inputs.begin(), request.inputs.end(),
                                   [&](const Result& input) { return impl.context.is_materialized(input.id); });
  const Op& op = request.vertex->op;
  if (!may_wait_for_network(op) && (at_hand || is_source(op)))
    work();
  else
    impl.context.pool.post(std::move(work));
}

void StoreExecutor::cancel() {
  std::vector<std::shared_ptr<ExecStep>> steps;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancelled = true;
    for (const auto& weak : impl_->running)
      if (auto step = weak.lock()) steps.push_back(std::move(step));
  }
  for (const auto& step : steps) step->stop();
}

const FailedCommand* StoreExecutor::failed(VertexId vertex) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->failed.find(vertex);
  return found == impl_->failed.end() ? nullptr : &found->second;
}

std::shared_ptr<sandbox::RunningStep> StoreExecutor::visit(const ExecuteRequest& request, const ExecVisit& visit,
                                                           ExecCallbacks callbacks) {
  const std::optional<CommandServices>& commands = impl_->context.services.commands;
  if (!commands) throw Error(ErrorCode::internal, "commands cannot be run here");
  return impl_->exec_backend(*commands).visit(request, visit, std::move(callbacks));
}

void StoreExecutor::save_scans() noexcept { impl_->context.local_trees.save(); }

}  // namespace cbuild::solver::ops
