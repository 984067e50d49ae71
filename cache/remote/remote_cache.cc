// SPDX-License-Identifier: Apache-2.0
// A record of a remote cache becomes one of the store: its chain is made of lazy layers, which cost nothing
// before a step has to run on them, and a push passes them on without having them.
#include "cache/remote/remote_cache.h"

#include <algorithm>

#include "base/error.h"
#include "base/process/threads.h"
#include "base/text.h"
#include "cache/cached_layers.h"
#include "cache/claimed_layer.h"

namespace cbuild::cache {

namespace {

constexpr std::chrono::milliseconds kPoll{50};  ///< for the user's interrupt

/// Of values that others wrote.
std::int64_t plus(std::int64_t sum, std::int64_t duration_ns) {
  constexpr std::int64_t kMost = std::int64_t{1} << 60;
  return std::min(kMost, sum + std::clamp<std::int64_t>(duration_ns, 0, kMost));
}

}  // namespace

RemoteCache::RemoteCache(Store& store, std::vector<RemoteSource> sources, Options options)
    : store_(store), options_(std::move(options)), deadline_(std::chrono::steady_clock::now() + options_.timeout) {
  for (RemoteSource& source : sources) {
    sources_.push_back(std::make_unique<Source>());
    sources_.back()->from = std::move(source);
  }
  for (const auto& source : sources_) {
    if (auto thread = try_start_thread([this, source = source.get()] { read(*source); }))
      threads_.push_back(std::move(*thread));
    else
      read(*source);
  }
}

RemoteCache::~RemoteCache() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  if (options_.abandon) options_.abandon();
  threads_.clear();
}

void RemoteCache::read(Source& source) {
  RemoteDocument document;
  std::string problem;
  Severity severity = Severity::warning;
  try {
    document = source.from.read();
  } catch (const Error& error) {
    // The first build of all finds nothing: worth a line, not a warning.
    if (error.code() == ErrorCode::not_found) severity = Severity::note;
    problem = error.what();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  std::unordered_map<Digest, std::size_t> records;
  std::int64_t steps_ns = 0;
  for (std::size_t i = 0; i < document.index.records.size(); ++i) {
    steps_ns = plus(steps_ns, document.index.records[i].duration_ns);
    for (const Digest& key : document.index.records[i].keys) records.try_emplace(key, i);
  }
  if (!problem.empty() && !is_closing() && options_.report)
    options_.report(severity, cat("cache ", source.from.name, " is not used: ", problem));
  {
    const std::scoped_lock lock(mutex_);
    source.document = std::move(document);
    source.records = std::move(records);
    source.steps_ns = steps_ns;
    source.over = true;
  }
  changed_.notify_all();
}

bool RemoteCache::is_closing() {
  const std::scoped_lock lock(mutex_);
  return closing_;
}

std::optional<Record> RemoteCache::find(const Digest& key) {
  std::size_t seen = 0;
  do {
    if (auto record = find_now(key, seen)) return record;
  } while (wait_for_more(seen));
  return std::nullopt;
}

// Sources only ever are added to, and an entry stays where it is once its source is over.
std::optional<Record> RemoteCache::find_now(const Digest& key, std::size_t& seen) {
  std::vector<std::pair<const Source*, const RemoteIndex::RecordEntry*>> found;
  {
    const std::scoped_lock lock(mutex_);
    seen = count_over();
    for (const auto& source : sources_) {
      if (!source->over) continue;
      const auto at = source->records.find(key);
      if (at != source->records.end()) found.emplace_back(source.get(), &source->document.index.records[at->second]);
    }
  }
  for (const auto& [source, entry] : found) {
    try {
      if (is_usable(*source, *entry)) return install(*source, *entry);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::missing_content) throw;  // gone between the question and the answer
    }
  }
  return std::nullopt;
}

std::optional<Layer> RemoteCache::find_in_sources(const std::function<std::optional<Layer>(const Source&)>& look) {
  std::size_t seen = 0;
  do {
    const std::scoped_lock lock(mutex_);
    seen = count_over();
    for (const auto& source : sources_) {
      if (!source->over) continue;
      if (auto layer = look(*source)) return layer;
    }
  } while (wait_for_more(seen));
  return std::nullopt;
}

std::size_t RemoteCache::count_over() const {
  return static_cast<std::size_t>(
      std::count_if(sources_.begin(), sources_.end(), [](const auto& source) { return source->over; }));
}

/// True if more sources than `seen` have come to their end.
bool RemoteCache::wait_for_more(std::size_t seen) {
  std::unique_lock lock(mutex_);
  while (seen < sources_.size() && count_over() == seen) {
    if (options_.cancel != nullptr && options_.cancel->cancelled()) return false;
    if (std::chrono::steady_clock::now() >= deadline_) break;
    changed_.wait_for(lock, kPoll);
  }
  if (count_over() > seen) return true;
  if (seen < sources_.size() && !std::exchange(warned_slow_, true) && options_.report) {
    for (const auto& source : sources_)
      if (!source->over)
        options_.report(Severity::warning, cat("cache ", source->from.name, " is not waited for any longer"));
  }
  return false;
}

bool RemoteCache::is_usable(const Source& source, const RemoteIndex::RecordEntry& entry) {
  const RemoteIndex& index = source.document.index;
  for (std::int64_t at = entry.chain; at >= 0; at = index.chains[static_cast<std::size_t>(at)].parent) {
    const RemoteIndex::LayerEntry& layer = index.layers[index.chains[static_cast<std::size_t>(at)].layer];
    if (layer.blob.digest.empty() || is_missing_layer(store_, layer.diff_id)) return false;
    const auto known = store_.layer_by_diff_id(layer.diff_id);
    if (layer.origin.empty() && !(known && (known->has_tree || known->has_blob)) &&
        is_missing_origin(store_, cat(kCacheOrigin, source.document.locator)))
      return false;
  }
  return true;
}

Layer RemoteCache::layer_of(const Source& source, const RemoteIndex::LayerEntry& entry) const {
  Layer layer;
  layer.id = claim_id(entry.diff_id, entry.blob);
  layer.diff_id = entry.diff_id;
  layer.blob = entry.blob;
  layer.fetch_from = entry.origin.empty() ? cat(kCacheOrigin, source.document.locator) : entry.origin;
  layer.description = entry.description;
  layer.created_ns = entry.created_ns;
  return layer;
}

Record RemoteCache::install(const Source& source, const RemoteIndex::RecordEntry& entry) {
  const RemoteIndex& index = source.document.index;
  std::vector<const RemoteIndex::ChainEntry*> links;
  for (std::int64_t at = entry.chain; at >= 0; at = links.back()->parent)
    links.push_back(&index.chains[static_cast<std::size_t>(at)]);
  Record record;
  for (std::size_t i = links.size(); i-- > 0;) {
    const Layer layer = layer_of(source, index.layers[links[i]->layer]);
    Digest id;
    if (is_from_cache(layer)) {
      id = add_cached_layer(store_, layer);
    } else {
      // The base's own id for it, so that its chain is the one that an image of this build has.
      id = store_.layer(layer.id) ? layer.id : add_claimed_layer(store_, layer);
      note_cache_claim(store_, id);
    }
    record.chain = store_.extend(record.chain, id, links[i]->identity).id;
  }
  record.created_ns = entry.created_ns;
  record.duration_ns = entry.duration_ns;
  record.step_name = entry.step_name;
  record.parts = entry.parts;
  record.key = entry.keys.front();
  for (std::size_t i = std::min<std::size_t>(1, entry.keys.size() - 1); i < entry.keys.size(); ++i) {
    record.definition_key = entry.keys[i];
    store_.publish(record);
  }
  return record;
}

std::int64_t RemoteCache::steps_ns(const std::string& locator) {
  const std::scoped_lock lock(mutex_);
  for (const auto& source : sources_)
    if (source->over && source->document.locator == locator) return source->steps_ns;
  return 0;
}

std::string RemoteCache::body_of(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  for (const auto& source : sources_)
    if (source->over && source->from.name == name) return source->document.body;
  return {};
}

// By the claim, that is by diff id and blob: what a cache says of another layer is nothing to this one.
std::optional<Layer> RemoteCache::table(const Layer& wanted) {
  if (!wanted.blob || wanted.diff_id.empty()) return std::nullopt;
  const Digest claim = claim_id(wanted.diff_id, *wanted.blob);
  return find_in_sources([&](const Source& source) -> std::optional<Layer> {
    for (const RemoteIndex::LayerEntry& entry : source.document.index.layers) {
      if (entry.table.digest.empty() || entry.blob.digest != wanted.blob->digest) continue;
      if (claim_id(entry.diff_id, entry.blob) != claim) continue;
      Layer table;
      table.id = entry.table.digest;
      table.blob = entry.table;
      table.fetch_from = cat(kCacheOrigin, source.document.locator);
      return table;
    }
    return std::nullopt;
  });
}

std::optional<Layer> RemoteCache::mount(const std::string& key) {
  return find_in_sources([&](const Source& source) -> std::optional<Layer> {
    for (const RemoteIndex::MountEntry& entry : source.document.index.mounts)
      if (entry.key == key) return layer_of(source, {entry.diff_id, entry.blob, {}, cat("cache mount ", entry.id), 0});
    return std::nullopt;
  });
}

}  // namespace cbuild::cache
