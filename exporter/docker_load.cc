// SPDX-License-Identifier: Apache-2.0
#include "exporter/docker_load.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/error.h"
#include "base/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/archive.h"
#include "exporter/output_content.h"

namespace cbuild::exporter {
namespace {

std::vector<std::string> engine_client(const Output& output) {
  if (output.engine_context.empty()) return {"docker"};
  return {"docker", "--context", output.engine_context};
}

}  // namespace

void load_into_engine(const OutputJob& job) {
  need_blobs(job);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  std::vector<std::string> argv = engine_client(job.output);
  argv.insert(argv.end(), {"load", "--quiet"});
  Child engine = Child::spawn({.argv = argv, .stdin_fd = in.get(), .stderr_fd = STDERR_FILENO});
  in.reset();
  try {
    write_image_archive(job.context.store, job.image, job.output.names, true,
                        {[&](std::span<const std::byte> bytes) {
                           sys::write_all(out.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
                         },
                         nullptr},
                        archive_counter(job));
  } catch (const Error& error) {
    if (error.sys_errno() != EPIPE) throw;  // the client ended early; its exit code says more
  }
  out.reset();
  if (const int code = engine.wait(); code != 0)
    throw Error(ErrorCode::io, cat("docker load failed with exit code ", code))
        .with_hint("is the engine running? write a file instead: --output type=docker,dest=image.tar");
}

bool engine_finds_manifests(const Output& output, const CancelSource* cancel) {
  std::vector<std::string> argv = engine_client(output);
  argv.insert(argv.end(), {"info", "--format", "{{json .DriverStatus}}"});
  CommandOptions options;
  options.timeout = std::chrono::seconds(30);
  options.cancel = cancel;
  const CommandResult info = run_command(argv, options);
  return info.exit_code == 0 && info.out.find("io.containerd.snapshotter.v1") != std::string::npos;
}

}  // namespace cbuild::exporter
