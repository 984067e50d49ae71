// SPDX-License-Identifier: Apache-2.0
#include "exporter/output_content.h"

#include <memory>

#include "base/text.h"
#include "exporter/output_keys.h"

namespace cbuild::exporter {

void need_blobs(const OutputJob& job) {
  for (std::size_t i = 0; i < job.image.layers.size(); ++i)
    if (!job.context.store.blobs().size(job.image.content.layers[i].digest))
      job.context.fetch_blob(job.image.layers[i], job.context.store.blobs());
}

void need_trees(const OutputJob& job) {
  ExportContext& context = job.context;
  cache::materialize(context.store, job.result.chain, context.fetch_blob, context.cancel,
                     [&](const cache::Layer& layer, std::uint64_t current, std::uint64_t total) {
                       if (context.progress && layer.blob)
                         context.progress->on_event(TaskCounter{context.task, layer.blob->digest.str(), current, total,
                                                                true, current == total});
                     });
}

RootfsOptions rootfs_options(const OutputJob& job) {
  RootfsOptions options{job.result.chain, job.result.file_epoch, {}, job.context.cancel};
  if (job.output.platform_split) options.prefix = replace_all(job.result.config.platform.str(), "/", "_");
  return options;
}

OutputFile open_destination(const OutputJob& job) {
  if (job.output.dest == "-") return OutputFile::standard_output(job.context.cancel);
  return OutputFile(job.output.dest, 0666, job.context.cancel);
}

oci::layer::ByteSink sink_of(OutputFile& file) {
  return [&file](std::span<const std::byte> bytes) { file.write(bytes); };
}

std::function<void(std::uint64_t)> archive_counter(const OutputJob& job) {
  if (!job.context.progress) return nullptr;
  std::uint64_t total = job.image.config.size + job.image.manifest.size;
  for (const oci::Descriptor& layer : job.image.content.layers) total += layer.size;
  auto done = std::make_shared<std::uint64_t>(0);
  return [&context = job.context, total, done](std::uint64_t bytes) {
    *done += bytes;
    context.progress->on_event(TaskCounter{context.task, "archive", *done, total, true, *done >= total});
  };
}

void complete_archive(Output& output) {
  if (!output.as_tar && (output.dest.empty() || output.dest == "-")) refuse_output("tar=false needs dest=DIRECTORY");
}

void export_archive(const OutputJob& job, bool docker) {
  need_blobs(job);
  cache::Store& store = job.context.store;
  if (!job.output.as_tar) return write_image_directory(store, job.image, job.output.names, job.output.dest);
  OutputFile destination = open_destination(job);
  write_image_archive(store, job.image, job.output.names, docker,
                      {sink_of(destination), [&](int fd, std::uint64_t size,
                                                 const auto& written) { destination.write_file(fd, size, written); }},
                      archive_counter(job));
  destination.publish();
}

}  // namespace cbuild::exporter
