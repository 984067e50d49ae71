// SPDX-License-Identifier: Apache-2.0
// The remote caches of a build. Their records are read in the background from its beginning and are asked when the
// store has none; at its end the steps are looked up by their definition keys and written to each destination as a
// task.
#include "engine/build_cache.h"

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/remote/read_cache.h"

namespace cbuild::engine {
namespace {

std::string summary(const exporter::CacheExportReport& report) {
  if (report.unchanged) return cat(report.records, " steps, unchanged");
  return cat(report.records, " steps, ", report.blobs_new, " new layers (", format_size(report.bytes_new), "), ",
             report.blobs_known, " known");
}

}  // namespace

BuildCache::BuildCache(cache::Store& store, Remote& remote, const BuildRequest& request, ProgressSink& progress,
                       const CancelSource& cancel)
    : store_(store), remote_(remote), request_(request), progress_(progress), cancel_(cancel) {
  if (!request.caches.from.empty()) begin_import();
}

BuildCache::~BuildCache() {
  if (importer_) remote_.set_race({});
}

void BuildCache::begin_import() {
  std::vector<cache::RemoteSource> sources;
  cache::RemoteCache::Options options;
  options.timeout = {};
  for (const cache::CacheSpec& spec : request_.caches.from) options.timeout = std::max(options.timeout, spec.timeout);
  const CacheRace race{options.timeout, [this](const std::string& locator) { return importer_->steps_ns(locator); }};
  for (const cache::CacheSpec& spec : request_.caches.from)
    for (const cache::CacheSpec& one : imports_of(spec)) sources.push_back(source(one, race));
  options.cancel = &cancel_;
  options.report = [this](Severity severity, const std::string& text) { progress_.on_event(RunNote{severity, text}); };
  options.abandon = [this] { import_cancel_.cancel(); };
  importer_ = std::make_unique<cache::RemoteCache>(store_, std::move(sources), std::move(options));
  remote_.set_race(race);
}

/// A cache that cannot be asked is a miss.
std::vector<cache::CacheSpec> BuildCache::imports_of(const cache::CacheSpec& spec) {
  try {
    return cache::cache_imports(spec);
  } catch (const Error& error) {
    progress_.on_event(RunNote{Severity::warning, cat("the cache is not imported: ", error.what())});
    return {};
  }
}

cache::RemoteSource BuildCache::source(const cache::CacheSpec& spec, const CacheRace& race) {
  const auto client = [this, race]() -> oci::registry::Client& {
    if (!import_client_) import_client_ = remote_.new_cache_client(import_cancel_, race);
    return *import_client_;
  };
  const std::shared_ptr<cache::CacheBackend> backend =
      cache::open_cache_import(spec, {store_, client, remote_.object_options(import_cancel_, &race)});
  // Another one for layers, which are fetched when the import is over.
  if (cache::find_backend_type(spec.type)->fetches_blobs)
    remote_.add_cache(cache::open_cache_import(spec, {store_, client, remote_.object_options(cancel_, &race)}));
  return {backend->name(),
          [backend, platforms = wanted_platforms(request_.inputs)] { return cache::read_cache(*backend, platforms); }};
}

bool BuildCache::wants_all_steps() const {
  return std::any_of(request_.caches.to.begin(), request_.caches.to.end(),
                     [](const auto& spec) { return spec.all_steps; });
}

// Below a step that was found nothing was looked up, so that is done here.
exporter::CacheContent BuildCache::content(const solver::Graph& graph, const std::vector<solver::VertexId>& targets,
                                           const std::vector<Digest>& keys, const std::vector<Digest>& image_chains) {
  exporter::CacheContent content;
  content.image_chains = image_chains;
  for (const solver::VertexId id : graph.reachable(targets)) {
    const Digest& key = keys.at(id);
    if (key.empty() || std::holds_alternative<solver::ImageSource>(graph[id].op)) continue;
    auto record = store_.find(key);
    if (!record && importer_) record = importer_->find(key);
    if (record) content.steps.push_back({key, std::move(*record)});
  }
  for (const exporter::Output& output : request_.outputs.list)
    if (output.push && !output.names.empty()) content.pushed = oci::parse_reference(output.names.front());
  return content;
}

void BuildCache::put_inline(const exporter::CacheContent& content, cache::Packer& packer,
                            exporter::ImageResult& image) {
  image.config.extra.erase(cache::kInlineCacheKey);
  if (std::none_of(request_.caches.to.begin(), request_.caches.to.end(), cache::is_in_image)) return;
  image.config.extra[cache::kInlineCacheKey] = exporter::inline_cache(content, image.chain, packer, store_);
}

std::unique_ptr<cache::Packer> BuildCache::packer_for(const cache::CacheSpec& spec) const {
  if (!spec.compression) return nullptr;
  oci::layer::PackOptions pack;
  pack.compression = *spec.compression;
  pack.level = spec.compression_level;
  pack.cancel = &cancel_;
  return std::make_unique<cache::Packer>(store_, pack);
}

std::optional<oci::Descriptor> BuildCache::export_all(const exporter::CacheContent& content, cache::Packer& packer,
                                                      exporter::EarlyUploads* early, TaskId first_task) {
  std::optional<oci::Descriptor> last;
  for (const cache::CacheSpec& spec : request_.caches.to) {
    if (cache::is_in_image(spec)) continue;
    const auto own_packer = packer_for(spec);
    const auto manifest = export_one(spec, content, own_packer ? *own_packer : packer, early, first_task++);
    if (manifest && (spec.type == "registry" || spec.type == "local")) last = manifest;
  }
  return last;
}

std::optional<oci::Descriptor> BuildCache::export_one(const cache::CacheSpec& spec,
                                                      const exporter::CacheContent& content, cache::Packer& packer,
                                                      exporter::EarlyUploads* early, TaskId task) {
  const auto backend =
      cache::open_cache_export(spec, {store_, [this]() -> oci::registry::Client& { return remote_.registry(); },
                                      remote_.object_options(cancel_, nullptr)});
  progress_.on_event(TaskAdded{task, cat("exporting the cache to ", backend->name()), {}});
  progress_.on_event(TaskStarted{task, sys::monotonic_ns(), {}});
  try {
    exporter::ExportContext context{store_, nullptr, remote_.fetcher(), &progress_, task, &cancel_, early};
    const std::string seen = importer_ && spec.type == "registry" ? importer_->body_of(backend->name()) : std::string();
    const auto report = exporter::export_cache(spec, *backend, content, packer, context, seen);
    for (const std::string& note : report.notes) progress_.on_event(RunNote{Severity::warning, note});
    progress_.on_event(TaskLog{task, sys::monotonic_ns(), LogStream::out, summary(report) + "\n"});
    progress_.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::ok, {}});
    return report.manifest;
  } catch (Error& error) {
    progress_.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::failed, error.what()});
    const bool ignored =
        spec.ignore_error && error.code() != ErrorCode::cancelled && error.code() != ErrorCode::missing_content;
    if (!ignored) throw error.add_context(cat("cache export to ", backend->name()));
    progress_.on_event(RunNote{Severity::warning, cat("the cache is not exported: ", error.what())});
    return std::nullopt;
  }
}

}  // namespace cbuild::engine
