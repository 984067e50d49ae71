// SPDX-License-Identifier: Apache-2.0
// The archive is made while it is sent: one thread writes into a pipe, another sends what comes out. What the engine
// seems to have is left out; if it refuses such an archive, because somebody removed an image meanwhile, it gets all.
#include "exporter/engine_load.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "exporter/archive.h"
#include "exporter/engine_api.h"
#include "exporter/engine_layers.h"
#include "exporter/output_content.h"

namespace cbuild::exporter {
namespace {

constexpr std::string_view kContainerd = "containerd://";

bool is_containerd(const Output& output) { return output.engine.url.starts_with(kContainerd); }

/// `take` reads the archive to its end. The writer's failure counts more than what the reader says about the cut.
void send_archive(const OutputJob& job, bool docker, const std::set<Digest>& left_out,
                  const std::function<void(int)>& take) {
  need_blobs(job, left_out);
  auto [in, out] = make_pipe();
  std::exception_ptr taking, writing;
  std::thread reader([&taking, &take, end = std::move(in)]() mutable {
    try {
      const ScopeExit close([&] { end.reset(); });
      take(end.get());
    } catch (...) {  // goes to the thread that waits for this one
      taking = std::current_exception();
    }
  });
  try {
    const ScopeExit close([&] { out.reset(); });
    const oci::layer::ByteSink pipe = [&](std::span<const std::byte> bytes) {
      sys::write_all(out.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    };
    write_image_archive(job.context.store, job.source.images, job.output.names, docker, {pipe, nullptr},
                        archive_counter(job), left_out);
  } catch (const Error& error) {
    if (error.sys_errno() != EPIPE) writing = std::current_exception();  // else the reader ended early, and says more
  }
  reader.join();
  if (writing) std::rethrow_exception(writing);
  if (taking) std::rethrow_exception(taking);
}

/// With what is left out; again with all if that is refused.
void send_what_lacks(const OutputJob& job, bool docker, const std::set<Digest>& left_out,
                     const std::function<void(int)>& take) {
  try {
    return send_archive(job, docker, left_out, take);
  } catch (const Error& error) {
    if (left_out.empty() || error.code() == ErrorCode::cancelled) throw;
  }
  send_archive(job, docker, {}, take);
}

/// containerd's own client, as its API for images is gRPC (docs/decisions/engines.md).
class Ctr {
 public:
  Ctr(const std::string& url, const CancelSource* cancel) : cancel_(cancel) {
    std::string socket = url.substr(kContainerd.size()), space = "default";
    if (const std::size_t query = socket.find("?namespace="); query != std::string::npos) {
      space = socket.substr(query + std::string_view("?namespace=").size());
      socket.resize(query);
    }
    argv_ = {"ctr", "--address", socket.empty() ? "/run/containerd/containerd.sock" : socket, "--namespace", space};
  }

  std::set<Digest> blobs() const {
    std::vector<std::string> argv = argv_;
    argv.insert(argv.end(), {"content", "ls", "--quiet"});
    CommandOptions options;
    options.cancel = cancel_;
    const CommandResult listed = run_command(argv, options);
    if (listed.exit_code != 0)
      throw Error(ErrorCode::network, cat("containerd at ", argv_[2], ": ", sanitize_for_terminal(trim(listed.err))));
    std::set<Digest> out;
    for (const std::string& line : split(listed.out, '\n'))
      if (const auto digest = Digest::parse(trim(line))) out.insert(*digest);
    return out;
  }

  void import(int archive, bool all_platforms) const {
    std::vector<std::string> argv = argv_;
    argv.insert(argv.end(), {"images", "import"});
    if (all_platforms) argv.insert(argv.end(), {"--all-platforms", "--no-unpack"});
    argv.emplace_back("-");
    Child program = Child::spawn({.argv = argv, .stdin_fd = archive, .stderr_fd = STDERR_FILENO});
    if (const int code = program.wait(); code != 0)
      throw Error(ErrorCode::io, cat("ctr images import failed with exit code ", code));
  }

 private:
  const CancelSource* cancel_;
  std::vector<std::string> argv_;
};

/// Layers of these images that are among `blobs`.
std::set<Digest> layers_among(const ImageSet& images, const std::set<Digest>& blobs) {
  std::set<Digest> out;
  for (const BuiltImage& image : images.manifests)
    for (const oci::Descriptor& layer : image.content.layers)
      if (blobs.contains(layer.digest)) out.insert(layer.digest);
  return out;
}

void load_into_containerd(const OutputJob& job) {
  if (job.output.names.empty())
    throw Error(ErrorCode::usage, "containerd keeps images under names only").with_hint("add -t NAME");
  const Ctr ctr(job.output.engine.url, job.context.cancel);
  send_what_lacks(job, false, layers_among(job.source.images, ctr.blobs()),
                  [&](int archive) { ctr.import(archive, job.source.several); });
}

}  // namespace

void load_into_engine(const OutputJob& job) {
  if (is_containerd(job.output)) return load_into_containerd(job);
  EngineApi engine(job.output.engine, job.context.cancel);
  send_what_lacks(job, !job.source.several, layers_in_engine(engine, job.source.images),
                  [&](int archive) { engine.load(archive); });
}

bool engine_finds_manifests(const Output& output, const CancelSource* cancel) {
  if (is_containerd(output)) return true;
  try {
    EngineApi engine(output.engine, cancel);
    return keeps_manifests(engine);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return false;
  }
}

}  // namespace cbuild::exporter
