// SPDX-License-Identifier: Apache-2.0
#include "exporter/outputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/archive.h"
#include "exporter/push.h"
#include "oci/layer/unpack.h"
#include "oci/reference.h"

namespace cbuild::exporter {
namespace {

/// A file that appears under its name only when it is whole; "-" is stdout.
class Destination {
 public:
  explicit Destination(const std::string& path) : path_(path) {
    if (path == "-") return;
    temporary_ = cat(path, ".", getpid(), ".part");
    file_ = sys::open_at(AT_FDCWD, temporary_, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  }
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
  ~Destination() {
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }

  oci::layer::ByteSink sink() {
    return [this](std::span<const std::byte> bytes) {
      sys::write_all(file_ ? file_.get() : STDOUT_FILENO, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    };
  }
  void publish() {
    if (path_ == "-") return;
    file_.close_checked();
    sys::rename_at(AT_FDCWD, temporary_, AT_FDCWD, path_);
    temporary_.clear();
  }

 private:
  std::string path_, temporary_;
  UniqueFd file_;
};

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
  Destination destination(output.dest);
  write_image_archive(context.store, image, output.names, output.type == OutputType::docker, destination.sink(),
                      archive_counter(image, context));
  destination.publish();
}

/// Streams the archive into `docker load`: every engine's client understands it, also for remote engines.
void load_into_engine(const Output& output, const BuiltImage& image, ExportContext& context) {
  need_blobs(image, context);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  Child engine =
      Child::spawn({.argv = {"docker", "load", "--quiet"}, .stdin_fd = in.get(), .stderr_fd = STDERR_FILENO});
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

void export_tar(const Output& output, const ImageResult& result, ExportContext& context) {
  need_trees(result, context);
  Destination destination(output.dest);
  write_rootfs_tar(context.store, result.chain, result.file_epoch, destination.sink(), context.cancel);
  destination.publish();
}

/// A directory that belongs to the caller, as the reference's client writes it.
void export_local(const Output& output, const ImageResult& result, ExportContext& context) {
  need_trees(result, context);
  sys::mkdir_all(AT_FDCWD, output.dest, 0755);
  const UniqueFd target = sys::open_at(AT_FDCWD, output.dest, O_RDONLY | O_DIRECTORY);
  if (output.delete_extra)
    for (const std::string& name : sys::list_dir(target.get())) sys::remove_all_at(target.get(), name);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  std::exception_ptr failure;
  std::thread writer([&] {
    try {
      write_rootfs_tar(
          context.store, result.chain, result.file_epoch,
          [&](std::span<const std::byte> bytes) {
            sys::write_all(out.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
          },
          context.cancel);
    } catch (...) {
      failure = std::current_exception();
    }
    out.reset();
  });
  const ScopeExit join([&] {
    in.reset();
    writer.join();
  });
  oci::layer::UnpackOptions options;
  options.whiteouts = oci::layer::Whiteouts::keep;
  options.owner = std::pair(geteuid(), getegid());
  options.cancel = context.cancel;
  oci::layer::unpack(in.get(), target.get(), options);
  if (failure) std::rethrow_exception(failure);
}

void keep_image(const Output& output, const BuiltImage& image, ExportContext& context) {
  for (const std::string& name : output.names) {
    context.store.set_image({oci::parse_reference(name).str(), image.manifest.digest, sys::now_ns()});
    if (output.push) push_image(image, name, output.push_by_digest, context);
  }
  if (output.push && output.names.empty())
    throw Error(ErrorCode::usage, "a push needs a name").with_hint("add -t REGISTRY/REPOSITORY:TAG");
}

}  // namespace

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
