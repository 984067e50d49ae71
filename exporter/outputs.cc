// SPDX-License-Identifier: Apache-2.0
#include "exporter/outputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/output_file.h"
#include "base/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/archive.h"
#include "exporter/local_output.h"
#include "exporter/push.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

/// "-" is stdout.
OutputFile open_destination(const Output& output, const ExportContext& context) {
  if (output.dest == "-") return OutputFile::standard_output(context.cancel);
  return OutputFile(output.dest, 0666, context.cancel);
}

oci::layer::ByteSink sink_of(OutputFile& file) {
  return [&file](std::span<const std::byte> bytes) { file.write(bytes); };
}

void need_blobs(const BuiltImage& image, ExportContext& context) {
  for (std::size_t i = 0; i < image.layers.size(); ++i)
    if (!context.store.blobs().size(image.content.layers[i].digest)) context.fetch_blob(image.layers[i]);
}

void need_trees(const ImageResult& result, ExportContext& context) {
  cache::materialize(context.store, result.chain, context.fetch_blob, context.cancel,
                     [&](const cache::Layer& layer, std::uint64_t current, std::uint64_t total) {
                       if (context.progress && layer.blob)
                         context.progress->on_event(TaskCounter{context.task, layer.blob->digest.str(), current, total,
                                                                true, current == total});
                     });
}

std::function<void(std::uint64_t)> archive_counter(const BuiltImage& image, ExportContext& context) {
  if (!context.progress) return nullptr;
  std::uint64_t total = image.config.size + image.manifest.size;
  for (const oci::Descriptor& layer : image.content.layers) total += layer.size;
  auto done = std::make_shared<std::uint64_t>(0);
  return [&context, total, done](std::uint64_t bytes) {
    *done += bytes;
    context.progress->on_event(TaskCounter{context.task, "archive", *done, total, true, *done >= total});
  };
}

void export_archive(const Output& output, const BuiltImage& image, ExportContext& context) {
  need_blobs(image, context);
  if (!output.as_tar) return write_image_directory(context.store, image, output.names, output.dest);
  OutputFile destination = open_destination(output, context);
  write_image_archive(context.store, image, output.names, output.type == OutputType::docker, sink_of(destination),
                      archive_counter(image, context));
  destination.publish();
}

std::vector<std::string> engine_client(const Output& output) {
  if (output.engine_context.empty()) return {"docker"};
  return {"docker", "--context", output.engine_context};
}

/// Streams the archive into `docker load`: every engine's client understands it, also for remote engines.
void load_into_engine(const Output& output, const BuiltImage& image, ExportContext& context) {
  need_blobs(image, context);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  std::vector<std::string> argv = engine_client(output);
  argv.insert(argv.end(), {"load", "--quiet"});
  Child engine = Child::spawn({.argv = argv, .stdin_fd = in.get(), .stderr_fd = STDERR_FILENO});
  in.reset();
  try {
    write_image_archive(
        context.store, image, output.names, true,
        [&](std::span<const std::byte> bytes) {
          sys::write_all(out.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        },
        archive_counter(image, context));
  } catch (const Error& error) {
    if (error.sys_errno() != EPIPE) throw;  // the client ended early; its exit code says more
  }
  out.reset();
  if (const int code = engine.wait(); code != 0)
    throw Error(ErrorCode::io, cat("docker load failed with exit code ", code))
        .with_hint("is the engine running? write a file instead: --output type=docker,dest=image.tar");
}

RootfsOptions rootfs_options(const Output& output, const ImageResult& result, const ExportContext& context) {
  RootfsOptions options{result.chain, result.file_epoch, {}, context.cancel};
  if (output.platform_split) options.prefix = replace_all(result.config.platform.str(), "/", "_");
  return options;
}

void export_tar(const Output& output, const ImageResult& result, ExportContext& context) {
  need_trees(result, context);
  OutputFile destination = open_destination(output, context);
  write_rootfs_tar(context.store, rootfs_options(output, result, context), sink_of(destination));
  destination.publish();
}

void export_local(const Output& output, const ImageResult& result, ExportContext& context) {
  need_trees(result, context);
  write_local(context.store, rootfs_options(output, result, context), output.dest, output.delete_extra);
}

void keep_image(const Output& output, const BuiltImage& image, ExportContext& context) {
  std::vector<std::string> names = output.names;
  if (!output.dangling_prefix.empty() && (names.empty() || !output.dangling_only))
    names.push_back(cat(output.dangling_prefix, "@", image.manifest.digest.str()));
  const auto keep = [&](const oci::Reference& name) {
    if (output.keep) context.store.set_image({name.str(), image.manifest.digest, sys::now_ns()});
  };
  for (const std::string& name : names) {
    oci::Reference reference = oci::parse_reference(name);
    keep(reference);
    if (output.push) push_image(image, name, output.push_by_digest, context);
    if (output.name_canonical && !std::exchange(reference.digest, image.manifest.digest)) keep(reference);
  }
  if (output.push && names.empty())
    throw Error(ErrorCode::usage, "a push needs a name").with_hint("add -t REGISTRY/REPOSITORY:TAG");
}

}  // namespace

bool is_found_by_manifest(const Output& output, const CancelSource* cancel) {
  if (output.type != OutputType::docker || !output.dest.empty()) return false;
  std::vector<std::string> argv = engine_client(output);
  argv.insert(argv.end(), {"info", "--format", "{{json .DriverStatus}}"});
  CommandOptions options;
  options.timeout = std::chrono::seconds(30);
  options.cancel = cancel;
  const CommandResult info = run_command(argv, options);
  return info.exit_code == 0 && info.out.find("io.containerd.snapshotter.v1") != std::string::npos;
}

bool makes_image(const Output& output) {
  return output.type != OutputType::local && output.type != OutputType::tar && output.type != OutputType::cacheonly;
}

void apply_epoch(const Output& output, const std::optional<std::int64_t>& epoch, ImageResult& result) {
  result.source_date_epoch = result.file_epoch = epoch;
  if (!output.epoch) return;
  result.file_epoch = output.epoch->value;
  if (!output.epoch->value) return;  // config and history keep what the build says
  result.source_date_epoch = epoch ? std::min(*epoch, *output.epoch->value) : *output.epoch->value;
}

void export_image(const Output& output, const BuiltImage& image, const ImageResult& result, ExportContext& context) {
  switch (output.type) {
    case OutputType::oci:
      return export_archive(output, image, context);
    case OutputType::docker:
      return output.dest.empty() ? load_into_engine(output, image, context) : export_archive(output, image, context);
    case OutputType::tar:
      return export_tar(output, result, context);
    case OutputType::local:
      return export_local(output, result, context);
    case OutputType::image:
    case OutputType::registry:
      return keep_image(output, image, context);
    case OutputType::cacheonly:
      return;
  }
}

}  // namespace cbuild::exporter
