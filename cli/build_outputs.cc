// SPDX-License-Identifier: Apache-2.0
#include "cli/build_outputs.h"

#include <algorithm>

#include "base/error.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/target_outputs.h"
#include "exporter/outputs.h"

namespace cbuild::cli {
namespace {

bool writes_files(const exporter::Output& output) {
  return output.type == exporter::OutputType::local || output.type == exporter::OutputType::tar;
}

/// The image as one output wants it. Layers with lowered times, or in another compression, are other blobs than those
/// that were packed while the build ran.
exporter::BuiltImage image_for(const BuildLine& options, const exporter::Output& output,
                               const exporter::ImageResult& result, const OutputServices& services) {
  const bool rewritten = output.image.rewrite_timestamp && result.file_epoch;
  oci::layer::PackOptions pack = pack_options(options, services.cancel);
  const bool packed_so =
      pack.compression == output.image.compression && pack.level == output.image.compression_level && !rewritten;
  if (packed_so)
    return exporter::build_image(services.store, services.packer, result, output.image, services.remote.fetcher());
  pack.compression = output.image.compression;
  pack.level = output.image.compression_level;
  if (rewritten) pack.clamp_mtime_s = result.file_epoch;
  cache::Packer packer(services.store, pack);
  return exporter::build_image(services.store, packer, result, output.image, services.remote.fetcher());
}

/// Only a build that says the id asks the engine.
Digest image_id(const BuildLine& options, const TargetResult& target, const OutputServices& services) {
  const bool asked = options.progress == ProgressMode::quiet || !options.iid_file.empty();
  for (const exporter::Output& output : options.request.outputs.list)
    if (asked && output.target == target.name && is_found_by_manifest(output, &services.cancel))
      return target.image->manifest.digest;
  return target.image->config.digest;
}

void write_target(const BuildLine& options, TargetResult& target, const OutputServices& services, TaskId task) {
  exporter::ExportContext context{services.store,     nullptr, services.remote.fetcher(),
                                  &services.progress, task,    &services.cancel};
  exporter::ImageResult result = target.result;
  for (const exporter::Output& output : options.request.outputs.list) {
    if (output.target != target.name) continue;
    result.annotations = annotations_of(output.annotations, exporter::AnnotationLevel::manifest);
    result.descriptor_annotations = annotations_of(output.annotations, exporter::AnnotationLevel::manifest_descriptor);
    exporter::apply_epoch(output, target.result.source_date_epoch, result);
    if (output.push) context.registry = &services.remote.registry();
    if (exporter::makes_image(output)) target.image = image_for(options, output, result, services);
    if (!output.replaced_names.empty())
      services.progress.on_event(
          RunNote{Severity::note, cat("-t takes the place of name=", join(output.replaced_names, ","))});
    exporter::export_image(output, target.image.value_or(exporter::BuiltImage{}), result, context);
  }
  if (!target.image && wants_image(options, target.name))
    target.image = exporter::build_image(services.store, services.packer, target.result, {});
  if (target.image) target.id = image_id(options, target, services);
}

/// write_target() as a task that is shown.
void show_target(const BuildLine& options, TargetResult& target, const OutputServices& services, TaskId task) {
  ProgressSink& progress = services.progress;
  const bool several = options.request.inputs.targets.size() > 1;
  progress.on_event(TaskAdded{task, several ? cat("exporting the image of ", target.name) : "exporting the image", {}});
  progress.on_event(TaskStarted{task, sys::monotonic_ns(), {}});
  try {
    write_target(options, target, services, task);
    progress.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::ok, {}});
  } catch (Error& error) {
    const TaskState state = services.cancel.cancelled() ? TaskState::cancelled : TaskState::failed;
    progress.on_event(TaskFinished{task, sys::monotonic_ns(), state, error.what()});
    if (several) error.add_context(cat("target ", target.name));
    throw;
  }
}

/// One file with a line for each target, or with the placeholder in its name a file for each.
void write_image_ids(const BuildLine& options, const std::vector<TargetResult>& targets) {
  std::vector<std::string> ids;
  for (const TargetResult& target : targets) {
    ids.push_back(target.id.str());
    const std::string path = for_target(options.iid_file, target.name);
    if (path != options.iid_file) write_output_file(path, ids.back());
  }
  if (for_target(options.iid_file, targets.front().name) != options.iid_file) return;
  write_output_file(options.iid_file, ids.size() == 1 ? ids.front() : cat(join(ids, "\n"), "\n"));
}

}  // namespace

bool wants_files(const BuildLine& options, const std::string& target) {
  return std::any_of(options.request.outputs.list.begin(), options.request.outputs.list.end(),
                     [&](const exporter::Output& output) { return output.target == target && writes_files(output); });
}

bool wants_image(const BuildLine& options, const std::string& target) {
  if (!options.iid_file.empty() || !options.metadata_file.empty()) return true;
  return std::any_of(
      options.request.outputs.list.begin(), options.request.outputs.list.end(),
      [&](const exporter::Output& output) { return output.target == target && exporter::makes_image(output); });
}

oci::layer::PackOptions pack_options(const BuildLine& options, const CancelSource& cancel) {
  oci::layer::PackOptions pack;
  pack.cancel = &cancel;
  const auto is_image = [&](const std::string& target) { return wants_image(options, target); };
  // A cache alone has no reader that wants gzip.
  if (std::none_of(options.request.inputs.targets.begin(), options.request.inputs.targets.end(), is_image)) {
    pack.compression = oci::layer::Compression::zstd;
    return pack;
  }
  for (const exporter::Output& output : options.request.outputs.list) {
    pack.compression = output.image.compression;
    pack.level = output.image.compression_level;
  }
  return pack;
}

void write_outputs(const BuildLine& options, std::vector<TargetResult>& targets, const OutputServices& services) {
  for (std::size_t i = 0; i < targets.size(); ++i) show_target(options, targets[i], services, services.first_task + i);
  if (!options.iid_file.empty()) write_image_ids(options, targets);
  if (!options.metadata_file.empty())
    write_output_file(options.metadata_file, metadata_json(options, targets, services.facts));
}

}  // namespace cbuild::cli
