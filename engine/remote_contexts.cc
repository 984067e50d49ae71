// SPDX-License-Identifier: Apache-2.0
#include "engine/remote_contexts.h"

#include <sys/mman.h>
#include <unistd.h>

#include <span>
#include <vector>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/tree.h"
#include "cache/unpacker.h"
#include "frontend/stages/lower_remote.h"
#include "frontend/stages/source_pin.h"
#include "oci/layer/unpack.h"
#include "solver/scheduler.h"

namespace cbuild::engine {

namespace {

constexpr char kFileName[] = "context";
constexpr std::size_t kHead = 1u << 20;  // enough of any compression to see the first member

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

/// The first bytes of a stream, fewer only at its end.
std::string read_head(int fd) {
  std::string head(kHead, '\0');
  std::size_t have = 0;
  while (have < head.size()) {
    const std::size_t got = sys::read_some(fd, std::as_writable_bytes(std::span(head)).subspan(have));
    if (got == 0) break;
    have += got;
  }
  head.resize(have);
  return head;
}

bool begins_archive(const std::string& head) {
  const UniqueFd copy(::memfd_create("head", MFD_CLOEXEC));
  if (!copy) throw_errno(errno, "memfd_create");
  sys::pwrite_all(copy.get(), head, 0);
  return oci::layer::is_archive(copy.get());
}

}  // namespace

bool RemoteContexts::is_url(const std::string& text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

bool RemoteContexts::is_remote(const std::string& text) {
  return is_url(text) || frontend::parse_git_ref(text, true).has_value();
}

solver::Op RemoteContexts::by_url(const std::string& url, bool keep_git_dir) {
  if (const auto ref = frontend::parse_git_ref(url, true)) {
    return frontend::pin_git_source(*ref, keep_git_dir || ref->keep_git_dir.value_or(false), &sources_);
  }
  solver::HttpSource file = frontend::pin_http_source(url, kFileName, "", &sources_);
  sources_.fetch_url(file.url, file.content);
  file.unpack = oci::layer::is_archive(store_.blobs().open(file.content).get());
  return file;
}

std::optional<solver::Op> RemoteContexts::from_stream(int fd, std::string& text, std::size_t limit) {
  text = read_head(fd);
  if (!begins_archive(text)) {
    if (text.size() == kHead) text += sys::read_all(fd, limit - kHead);
    return std::nullopt;
  }
  const auto blob = store_.blobs().create();
  blob->write(bytes_of(text));
  std::vector<std::byte> buffer(kHead);
  while (const std::size_t got = sys::read_some(fd, buffer)) blob->write(std::span(buffer).first(got));
  return solver::HttpSource{"stdin", kFileName, blob->commit(), 0, true};
}

std::optional<std::string> RemoteContexts::read(const solver::Op& context, const std::string& path, std::size_t limit) {
  std::string clean = clean_path(cat("/", path));
  return cache::open_view(store_, fetch_(context)).read_file(clean.substr(1), limit);
}

std::string RemoteContexts::read_url(const std::string& url, std::size_t limit) {
  const solver::HttpSource file = frontend::pin_http_source(url, kFileName, "", &sources_);
  sources_.fetch_url(file.url, file.content);
  return sys::read_all(store_.blobs().open(file.content).get(), limit);
}

Digest fetch_source(solver::ops::BuildServices services, const solver::Op& source) {
  solver::Vertex vertex;
  vertex.op = source;
  vertex.name = "load build context";
  solver::Graph graph;
  const solver::VertexId id = graph.add(std::move(vertex));
  cache::Store& store = services.store;
  const cache::BlobFetcher fetch = services.fetch_blob;
  solver::SolveOptions options;
  options.cancel = &services.cancel;
  solver::ops::StoreExecutor executor(graph, std::move(services));
  solver::ops::CacheResultStore results(store);
  const solver::SolveReport report = solver::solve(graph, {id}, executor, results, options);
  if (report.failure) throw report.failure->failure.error;
  if (report.cancelled) throw Error(ErrorCode::cancelled, "cancelled");
  const Digest chain = report.vertices[id].result.id;
  cache::materialize(store, chain, fetch, options.cancel, nullptr);
  return chain;
}

bool is_dockerfile_only(const solver::Op& context) {
  const auto* file = std::get_if<solver::HttpSource>(&context);
  return file != nullptr && !file->unpack;
}

}  // namespace cbuild::engine
