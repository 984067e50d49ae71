// SPDX-License-Identifier: Apache-2.0
// Makes the images of the targets from their chains, and carries out the outputs. An image is made again for an output
// that wants another form of it; its layers were packed while the steps ran, if they fit.
#include "engine/export_build.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/outputs.h"
#include "exporter/push.h"

namespace cbuild::engine {
namespace {

/// One target after its steps are done.
struct TargetExport {
  std::string name;
  exporter::ImageResult result;
  std::optional<exporter::BuiltImage> image = {};
  Digest id = {};  ///< of the image
};

/// The image as one output wants it. Layers with lowered times, or in another compression, are other blobs than those
/// that were packed while the build ran.
exporter::BuiltImage image_for(Services& services, cache::Packer& packer, const exporter::Output& output,
                               const exporter::ImageResult& result) {
  const bool rewritten = output.image.rewrite_timestamp && result.file_epoch;
  oci::layer::PackOptions pack = pack_options(services.request, services.cancel);
  const bool packed_so =
      pack.compression == output.image.compression && pack.level == output.image.compression_level && !rewritten;
  if (packed_so) return exporter::build_image(services.store, packer, result, output.image, services.remote.fetcher());
  pack.compression = output.image.compression;
  pack.level = output.image.compression_level;
  if (rewritten) pack.clamp_mtime_s = result.file_epoch;
  cache::Packer other(services.store, pack);
  return exporter::build_image(services.store, other, result, output.image, services.remote.fetcher());
}

/// Only a build that says the id asks the engine.
Digest image_id(const Services& services, const TargetExport& target) {
  const OutputSettings& outputs = services.request.outputs;
  for (const exporter::Output& output : outputs.list)
    if (outputs.engine_ids && output.target == target.name && is_found_by_manifest(output, &services.cancel))
      return target.image->manifest.digest;
  return target.image->config.digest;
}

void write_target(Services& services, const ExportParts& parts, TargetExport& target, TaskId task) {
  exporter::ExportContext context{services.store,   nullptr,    services.remote.fetcher(), &services.progress, task,
                                  &services.cancel, parts.early};
  exporter::ImageResult result = target.result;
  for (const exporter::Output& output : services.request.outputs.list) {
    if (output.target != target.name) continue;
    result.annotations = annotations_of(output.annotations, exporter::AnnotationLevel::manifest);
    result.descriptor_annotations = annotations_of(output.annotations, exporter::AnnotationLevel::manifest_descriptor);
    exporter::apply_epoch(output, target.result.source_date_epoch, result);
    if (output.push) context.registry = &services.remote.registry();
    if (exporter::makes_image(output)) target.image = image_for(services, parts.packer, output, result);
    if (!output.replaced_names.empty())
      services.progress.on_event(
          RunNote{Severity::note, cat("-t takes the place of name=", join(output.replaced_names, ","))});
    exporter::export_image(output, target.image.value_or(exporter::BuiltImage{}), result, context);
  }
  if (!target.image && wants_image(services.request, target.name))
    target.image = exporter::build_image(services.store, parts.packer, target.result, {});
  if (target.image) target.id = image_id(services, target);
}

/// write_target() as a task that is shown.
void show_target(Services& services, const ExportParts& parts, TargetExport& target, TaskId task) {
  ProgressSink& progress = services.progress;
  const bool several = services.request.inputs.targets.size() > 1;
  progress.on_event(TaskAdded{task, several ? cat("exporting the image of ", target.name) : "exporting the image", {}});
  progress.on_event(TaskStarted{task, sys::monotonic_ns(), {}});
  try {
    write_target(services, parts, target, task);
    progress.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::ok, {}});
  } catch (Error& error) {
    const TaskState state = services.cancel.cancelled() ? TaskState::cancelled : TaskState::failed;
    progress.on_event(TaskFinished{task, sys::monotonic_ns(), state, error.what()});
    if (several) error.add_context(cat("target ", target.name));
    throw;
  }
}

exporter::ImageResult image_result(const ExportParts& parts, const frontend::LoweredTarget& target) {
  exporter::ImageResult result;
  if (target.result != solver::kNoInput) result.chain = parts.solved.report.vertices[target.result].result.id;
  result.config = target.config;
  result.base_history = target.base_history;
  result.source_date_epoch = target.source_date_epoch;
  return result;
}

exporter::CacheContent cache_content(const BuildRequest& request, const ExportParts& parts,
                                     const std::vector<TargetExport>& targets) {
  const std::vector<solver::VertexId> results = parts.lowered.results();
  if (request.caches.to.empty() || results.empty()) return {};
  std::vector<Digest> images;
  for (const TargetExport& target : targets) images.push_back(target.result.chain);
  return parts.caches.content(parts.lowered.graph(), results, parts.solved.keys, images);
}

/// A push may mount layers from where the bases of this build lie.
void note_bases(Services& services, const solver::Graph& graph) {
  for (const exporter::Output& output : services.request.outputs.list) {
    if (!output.push) continue;
    for (solver::VertexId id = 0; id < graph.size(); ++id)
      if (const auto* base = std::get_if<solver::ImageSource>(&graph[id].op))
        exporter::note_base(services.store, base->locator, base->manifest, output.names);
  }
}

std::vector<TargetImage> images_of(const std::vector<TargetExport>& targets) {
  std::vector<TargetImage> images;
  for (const TargetExport& target : targets)
    if (target.image) images.push_back({target.name, target.image->manifest, target.image->config, target.id});
  return images;
}

}  // namespace

bool wants_files(const BuildRequest& request, const std::string& target) {
  return std::any_of(request.outputs.list.begin(), request.outputs.list.end(),
                     [&](const exporter::Output& output) { return output.target == target && makes_files(output); });
}

bool wants_image(const BuildRequest& request, const std::string& target) {
  if (request.outputs.every_image) return true;
  return std::any_of(request.outputs.list.begin(), request.outputs.list.end(), [&](const exporter::Output& output) {
    return output.target == target && exporter::makes_image(output);
  });
}

oci::layer::PackOptions pack_options(const BuildRequest& request, const CancelSource& cancel) {
  oci::layer::PackOptions pack;
  pack.cancel = &cancel;
  const auto is_image = [&](const std::string& target) { return wants_image(request, target); };
  // A cache alone has no reader that wants gzip.
  if (std::none_of(request.inputs.targets.begin(), request.inputs.targets.end(), is_image)) {
    pack.compression = oci::layer::Compression::zstd;
    return pack;
  }
  for (const exporter::Output& output : request.outputs.list) {
    pack.compression = output.image.compression;
    pack.level = output.image.compression_level;
  }
  return pack;
}

void export_build(Services& services, const ExportParts& parts, BuildResult& result) {
  const solver::Graph& graph = parts.lowered.graph();
  std::vector<TargetExport> targets;
  for (std::size_t i = 0; i < parts.lowered.targets.targets.size(); ++i)
    targets.push_back({services.request.inputs.targets[i], image_result(parts, parts.lowered.targets.targets[i])});
  const ScopeExit keep_images([&] { result.images = images_of(targets); });
  const exporter::CacheContent cached = cache_content(services.request, parts, targets);
  for (TargetExport& target : targets) parts.caches.put_inline(cached, parts.packer, target.result);
  note_bases(services, graph);
  TaskId task = graph.size();
  for (TargetExport& target : targets) show_target(services, parts, target, task++);
  result.images = images_of(targets);
  if (services.request.outputs.on_written) services.request.outputs.on_written(result);
  parts.caches.export_all(cached, parts.packer, parts.early, task);
}

}  // namespace cbuild::engine
