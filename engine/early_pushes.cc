// SPDX-License-Identifier: Apache-2.0
#include "engine/early_pushes.h"

#include <algorithm>
#include <variant>

#include "engine/export_build.h"

namespace cbuild::engine {
namespace {

constexpr unsigned kEarlyAttempts = 3;

bool is_packed_so(const exporter::Output& output, const oci::layer::PackOptions& pack) {
  return output.image.compression == pack.compression && output.image.compression_level == pack.level &&
         !output.image.rewrite_timestamp;
}

}  // namespace

EarlyPushes::EarlyPushes(Services& services, const LoweredBuild& lowered) : services_(services), lowered_(lowered) {
  add_images();
  add_caches();
  if (targets_.empty()) return;
  uploads_ = std::make_unique<exporter::EarlyUploads>(services.store, [&remote = services.remote](const auto& cancel) {
    return remote.new_client(cancel, kEarlyAttempts);
  });
}

/// To the first name; other repositories of its registry mount them from there.
void EarlyPushes::add_images() {
  const BuildRequest& request = services_.request;
  const oci::layer::PackOptions pack = pack_options(request, services_.cancel);
  for (const frontend::LoweredTarget& target : lowered_.targets.targets) {
    for (const exporter::Output& output : request.outputs.list) {
      const bool sent = output.push && output.target == target.target && !output.names.empty();
      if (!sent || !is_packed_so(output, pack)) continue;
      for (const solver::VertexId layer : target.layer_vertices)
        add_image_layer(layer, oci::parse_reference(output.names.front()));
    }
  }
}

/// A merge puts layers of other steps onto its base.
void EarlyPushes::add_image_layer(solver::VertexId step, const oci::Reference& target) {
  targets_.try_emplace(step, target);
  const solver::Vertex& vertex = lowered_.graph()[step];
  if (!std::holds_alternative<solver::MergeOp>(vertex.op)) return;
  for (std::size_t i = 1; i < vertex.inputs.size(); ++i) targets_.try_emplace(vertex.inputs[i], target);
}

void EarlyPushes::add_caches() {
  const solver::Graph& graph = lowered_.graph();
  for (const cache::CacheSpec& spec : services_.request.caches.to) {
    if (spec.type != "registry" || !spec.all_steps || spec.compression) continue;
    for (const solver::VertexId step : graph.reachable(lowered_.results()))
      if (!solver::is_source(graph[step].op)) targets_.try_emplace(step, oci::parse_reference(spec.attribute("ref")));
  }
}

void EarlyPushes::on_result(solver::VertexId step, const Digest& chain) {
  const auto target = targets_.find(step);
  if (target == targets_.end() || chain.empty()) return;
  const std::vector<Digest> layers = services_.store.chain_layers(chain);
  {
    const std::lock_guard lock(mutex_);
    if (layers.empty() || !seen_.insert(layers.back()).second) return;
  }
  const auto layer = services_.store.layer(layers.back());
  if (!layer) return;
  if (layer->blob && layer->has_blob) return uploads_->add(*layer->blob, target->second);
  // The files of a command have the time of its run. Those of a copy may give the blob that they gave before.
  const bool is_new = std::holds_alternative<solver::ExecOp>(lowered_.graph()[step].op);
  uploads_->expect(layers.back(), target->second, is_new);
}

}  // namespace cbuild::engine
