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
#include "engine/provenance.h"
#include "engine/sbom.h"
#include "engine/scan_steps.h"
#include "exporter/attested_image.h"
#include "exporter/files_tar.h"
#include "exporter/outputs.h"
#include "exporter/push.h"
#include "supply/statement.h"

namespace cbuild::engine {
namespace {

/// One target after its steps are done.
struct TargetExport {
  std::string name;
  std::vector<exporter::ImageResult> platforms;  ///< in the order they were asked for
  bool several = false;                          ///< an index is made of them
  std::size_t first = 0;                         ///< place of the first one in LoweredBuild::targets
  std::optional<exporter::ImageSet> images = {};
  Digest id = {};  ///< of the image
  std::vector<TargetProvenance> provenances = {};
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

/// All platforms as one output wants them.
exporter::ImageSet images_for(Services& services, cache::Packer& packer, const exporter::Output& output,
                              const exporter::ExportSource& source) {
  std::vector<exporter::BuiltImage> images, attached;
  for (const exporter::ImageResult& result : source.platforms) {
    images.push_back(image_for(services, packer, output, result));
    for (exporter::BuiltImage& one : attest_image(services.store, images.back(), result, output))
      attached.push_back(std::move(one));
  }
  if (!source.several && (attached.empty() || output.referrers)) {
    exporter::ImageSet single = exporter::single_image(std::move(images.front()));
    single.referrers = std::move(attached);
    return single;
  }
  std::vector<exporter::BuiltImage> referrers;
  if (output.referrers) referrers.swap(attached);
  images.insert(images.end(), attached.begin(), attached.end());
  exporter::ImageSet set =
      exporter::make_index(services.store, std::move(images),
                           {.docker_media_types = output.image.docker_media_types,
                            .annotations = index_annotations_of(output.annotations, exporter::AnnotationLevel::index),
                            .descriptor_annotations =
                                index_annotations_of(output.annotations, exporter::AnnotationLevel::index_descriptor)});
  set.referrers = std::move(referrers);
  return set;
}

/// Only a build that says the id asks the engine. An index has no config of its own.
Digest image_id(const Services& services, const TargetExport& target) {
  const OutputSettings& outputs = services.request.outputs;
  if (target.images->index) return target.images->top().digest;
  for (const exporter::Output& output : outputs.list)
    if (outputs.engine_ids && output.target == target.name && is_found_by_manifest(output, &services.cancel))
      return target.images->top().digest;
  return target.images->manifests.front().config.digest;
}

/// The results with the times and annotations that an output asks for.
exporter::ExportSource source_for(const exporter::Output& output, const TargetExport& target) {
  exporter::ExportSource source{{}, target.platforms, target.several};
  for (exporter::ImageResult& result : source.platforms) {
    result.annotations = annotations_of(output.annotations, exporter::AnnotationLevel::manifest, result.platform);
    result.descriptor_annotations =
        annotations_of(output.annotations, exporter::AnnotationLevel::manifest_descriptor, result.platform);
    exporter::apply_epoch(output, result.source_date_epoch, result);
  }
  return source;
}

void write_target(Services& services, const ExportParts& parts, TargetExport& target, TaskId task) {
  exporter::ExportContext context{services.store,   nullptr,    services.remote.fetcher(), &services.progress, task,
                                  &services.cancel, parts.early};
  for (const exporter::Output& output : services.request.outputs.list) {
    if (output.target != target.name) continue;
    exporter::ExportSource source = source_for(output, target);
    if (output.push) context.registry = &services.remote.registry();
    context.signer = services.request.outputs.signer.get();
    if (exporter::makes_image(output)) {
      source.images = images_for(services, parts.packer, output, source);
      if (exporter::makes_archive(output))
        exporter::note_created(source.images, source.platforms.front().source_date_epoch);
      target.images = source.images;
    }
    if (!output.replaced_names.empty())
      services.progress.on_event(
          RunNote{Severity::note, cat("-t takes the place of name=", join(output.replaced_names, ","))});
    exporter::export_result(output, source, context);
  }
  if (!target.images && wants_image(services.request, target.name))
    target.images = images_for(services, parts.packer, {}, source_for({}, target));
  if (target.images) target.id = image_id(services, target);
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

/// A provenance is of the moment when an output asks for it: layers are packed by then.
exporter::Attestation provenance_attestation(Services& services, const ExportParts& parts, std::size_t target) {
  const supply::ProvenanceSettings& settings = *services.request.outputs.attestations.provenance;
  return {std::string(supply::predicate_type(settings.version)), settings.file_name, settings.inline_only,
          [&services, &parts, target, &settings] {
            const ProvenanceParts build{parts.lowered, parts.solved, parts.build_id, parts.started_ns, &parts.packer};
            return supply::to_predicate(provenance_of(services, build, target, settings.max), settings);
          }};
}

/// Scanned once, whatever the number of outputs.
exporter::Attestation sbom_attestation(Services& services, const std::string& file_name, ScanTarget scanned,
                                       const exporter::ImageResult& result) {
  auto document = std::make_shared<std::string>();
  scanned.created_s = result.source_date_epoch.value_or(sys::now_ns() / 1'000'000'000);
  return {std::string(supply::kSpdxPredicate), file_name, false, [&services, document, scanned] {
            if (document->empty()) *document = scan_target(services, scanned);
            return *document;
          }};
}

/// Of the result, then of what the Dockerfile wants scanned, too.
std::vector<exporter::Attestation> own_scans(Services& services, const ExportParts& parts,
                                             const frontend::LoweredTarget& target,
                                             const exporter::ImageResult& result) {
  ScanTarget core{"sbom", result.chain};
  for (const exporter::Output& output : services.request.outputs.list)
    if (output.target == target.target && !output.names.empty()) core.name = output.names.front();
  std::vector<exporter::Attestation> out = {sbom_attestation(services, "sbom.spdx.json", core, result)};
  for (const frontend::ScanExtra& extra : target.scan_extras) {
    const std::string name = cat("sbom-", extra.name);
    out.push_back(sbom_attestation(services, cat(name, ".spdx.json"),
                                   {name, parts.solved.report.vertices[extra.root].result.id}, result));
  }
  return out;
}

/// The statements of a scanner image.
std::vector<exporter::Attestation> scanned_attestations(Services& services, const ExportParts& parts,
                                                        std::size_t index) {
  const solver::VertexId scan = parts.lowered.scans.at(index);
  if (scan == solver::kNoInput) return {};
  const Digest chain = parts.solved.report.vertices[scan].result.id;
  cache::materialize(services.store, chain, services.remote.fetcher(), &services.cancel, nullptr);
  return read_scan(exporter::open_rootfs(services.store, chain));
}

/// Of the target at `index` of LoweredBuild::targets; in BuildKit's order.
std::vector<exporter::Attestation> attestations_of(Services& services, const ExportParts& parts, std::size_t index,
                                                   const exporter::ImageResult& result) {
  const supply::AttestationSettings& settings = services.request.outputs.attestations;
  std::vector<exporter::Attestation> out;
  if (settings.sbom && !settings.sbom->generator.empty())
    out = scanned_attestations(services, parts, index);
  else if (settings.sbom)
    out = own_scans(services, parts, parts.lowered.targets.targets[index], result);
  if (settings.provenance) out.push_back(provenance_attestation(services, parts, index));
  return out;
}

/// For who reads the result.
void keep_provenance(Services& services, const ExportParts& parts, TargetExport& target) {
  const OutputSettings& outputs = services.request.outputs;
  if (!outputs.tell_provenance) return;
  const ProvenanceParts build{parts.lowered, parts.solved, parts.build_id, parts.started_ns, &parts.packer};
  for (std::size_t i = 0; i < target.platforms.size(); ++i)
    target.provenances.push_back(
        {target.several ? target.platforms[i].platform.str() : std::string(),
         std::make_shared<const supply::Provenance>(provenance_of(services, build, target.first + i, true))});
}

exporter::ImageResult image_result(Services& services, const ExportParts& parts, std::size_t index) {
  const frontend::LoweredTarget& target = parts.lowered.targets.targets[index];
  exporter::ImageResult result;
  if (target.result != solver::kNoInput) result.chain = parts.solved.report.vertices[target.result].result.id;
  result.platform = target.platform;
  result.config = target.config;
  result.base_history = target.base_history;
  result.source_date_epoch = target.source_date_epoch;
  result.attestations = attestations_of(services, parts, index, result);
  return result;
}

exporter::CacheContent cache_content(const BuildRequest& request, const ExportParts& parts,
                                     const std::vector<TargetExport>& targets) {
  const std::vector<solver::VertexId> results = parts.lowered.results();
  if (request.caches.to.empty() || results.empty()) return {};
  std::vector<Digest> images;
  for (const TargetExport& target : targets)
    for (const exporter::ImageResult& result : target.platforms) images.push_back(result.chain);
  return parts.caches.content(parts.lowered.graph(), results, parts.solved.keys, images);
}

/// The targets with the results of their platforms.
std::vector<TargetExport> exports_of(Services& services, const ExportParts& parts) {
  const std::vector<frontend::LoweredTarget>& lowered = parts.lowered.targets.targets;
  std::vector<TargetExport> targets;
  for (std::size_t i = 0; i < lowered.size(); ++i) {
    if (targets.empty() || targets.back().name != lowered[i].target)
      targets.push_back({lowered[i].target, {}, is_multi_platform(services.request.inputs), i});
    targets.back().platforms.push_back(image_result(services, parts, i));
  }
  return targets;
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

TargetImage target_image(const TargetExport& target) {
  TargetImage out{target.name, target.images->top(), {}, target.id, target.provenances};
  if (!target.images->index) out.config = target.images->manifests.front().config;
  return out;
}

std::vector<TargetImage> images_of(const std::vector<TargetExport>& targets) {
  std::vector<TargetImage> images;
  for (const TargetExport& target : targets)
    if (target.images) images.push_back(target_image(target));
  return images;
}

}  // namespace

void check_outputs(const BuildRequest& request, const CancelSource& cancel) {
  if (!is_multi_platform(request.inputs)) return;
  for (const exporter::Output& output : request.outputs.list) check_takes_index(output, &cancel);
}

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
  std::vector<TargetExport> targets = exports_of(services, parts);
  const ScopeExit keep_images([&] { result.images = images_of(targets); });
  const exporter::CacheContent cached = cache_content(services.request, parts, targets);
  for (TargetExport& target : targets)
    for (exporter::ImageResult& image : target.platforms) parts.caches.put_inline(cached, parts.packer, image);
  note_bases(services, graph);
  TaskId task = graph.size();
  for (TargetExport& target : targets) {
    show_target(services, parts, target, task++);
    keep_provenance(services, parts, target);
  }
  result.images = images_of(targets);
  if (services.request.outputs.on_written) services.request.outputs.on_written(result);
  result.cache_manifest = parts.caches.export_all(cached, parts.packer, parts.early, task);
  if (result.cache_manifest && services.request.outputs.on_written) services.request.outputs.on_written(result);
}

}  // namespace cbuild::engine
