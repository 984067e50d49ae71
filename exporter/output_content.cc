// SPDX-License-Identifier: Apache-2.0
#include "exporter/output_content.h"

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "exporter/attestation_files.h"
#include "exporter/attested_image.h"
#include "exporter/output_keys.h"

namespace cbuild::exporter {
namespace {

void need_trees(ExportContext& context, const Digest& chain) {
  cache::materialize(context.store, chain, context.fetch_blob, context.cancel,
                     [&](const cache::Layer& layer, std::uint64_t current, std::uint64_t total) {
                       if (context.progress && layer.blob)
                         context.progress->on_event(TaskCounter{context.task, layer.blob->digest.str(), current, total,
                                                                true, current == total});
                     });
}

}  // namespace

void need_blobs(const OutputJob& job, const std::set<Digest>& left_out) {
  for (const BuiltImage& image : job.source.images.manifests)
    for (std::size_t i = 0; i < image.layers.size(); ++i)
      if (const Digest& digest = image.content.layers[i].digest;
          !left_out.contains(digest) && !job.context.store.blobs().size(digest))
        job.context.fetch_blob(image.layers[i], job.context.store.blobs());
}

std::vector<FileTree> file_trees(const OutputJob& job) {
  std::vector<FileTree> trees;
  const bool split = job.output.platform_split.value_or(job.source.several);
  for (const ImageResult& result : job.source.platforms) {
    need_trees(job.context, result.chain);
    const std::string platform = result.platform.str();
    trees.push_back({open_rootfs(job.context.store, result.chain), result.file_epoch,
                     split ? replace_all(platform, "/", "_") : std::string(), platform});
    const bool shared = job.source.several && !split;
    trees.back().extra_files =
        attestation_files(trees.back().view, attestations_for(job.output, result),
                          {job.output.attestation_prefix, shared ? replace_all(platform, "/", "_") : std::string()});
  }
  std::stable_sort(trees.begin(), trees.end(),
                   [](const FileTree& one, const FileTree& other) { return one.prefix < other.prefix; });
  if (!split && trees.size() > 1) check_distinct(trees);
  return trees;
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
  std::uint64_t total = 0;
  for (const oci::Descriptor& blob : blobs_of(job.source.images)) total += blob.size;
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
  if (!job.output.as_tar) return write_image_directory(store, job.source.images, job.output.names, job.output.dest);
  OutputFile destination = open_destination(job);
  write_image_archive(store, job.source.images, job.output.names, docker,
                      {sink_of(destination), [&](int fd, std::uint64_t size,
                                                 const auto& written) { destination.write_file(fd, size, written); }},
                      archive_counter(job));
  destination.publish();
}

}  // namespace cbuild::exporter
