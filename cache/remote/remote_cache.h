// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "base/diagnostic.h"
#include "cache/remote/remote_index.h"
#include "cache/store.h"

namespace cbuild::cache {

/// The document read from one place.
struct RemoteDocument {
  RemoteIndex index;
  std::string locator;    ///< of the repository of the index: Layer::fetch_from without kCacheOrigin
  std::string body = {};  ///< the manifest that the name gave, where it is that of a cache and not of an image
};

/// One place to import from. `read` may be slow and may throw Error; called once, on a thread of its own
/// where a limit leaves room for one.
struct RemoteSource {
  std::string name;  ///< for messages: "registry example.com/app:cache"
  std::function<RemoteDocument()> read;
};

/// Remote caches to look results up in, in the order given. The sources are read in the background from the
/// beginning. A source that cannot be read, or not in time, is a warning and a miss, never an error. Thread-safe.
class RemoteCache {
 public:
  struct Options {
    std::chrono::milliseconds timeout{5000};  ///< since the beginning; a later source is not waited for
    const CancelSource* cancel = nullptr;     ///< of the build: nothing is waited for any more
    std::function<void(Severity, const std::string&)> report;
    std::function<void()> abandon;  ///< makes reads that are under way end soon; called once, at the end
  };

  RemoteCache(Store& store, std::vector<RemoteSource> sources, Options options);
  /// Ends reads that are still going on.
  ~RemoteCache();
  RemoteCache(const RemoteCache&) = delete;
  RemoteCache& operator=(const RemoteCache&) = delete;

  /// A record by any of its keys. On a hit the store has it from now on too, with its layers as lazy ones; nothing
  /// is fetched. Waits for sources that are being read only if those that are there do not have it.
  std::optional<Record> find(const Digest& key);
  /// Time that all steps of the source with that RemoteDocument::locator took; 0 if it is not here.
  std::int64_t steps_ns(const std::string& locator);
  /// RemoteDocument::body of the source of that name, if it has been read by now; else empty.
  std::string body_of(const std::string& source);
  /// A cache mount by CacheMountInfo::key, as a layer to fetch and unpack.
  std::optional<Layer> mount(const std::string& key);
  /// The encoded table of a layer, as one to fetch; asked of those that are read. Waits as find() does.
  std::optional<Layer> table(const Layer& layer);

 private:
  struct Source {
    RemoteSource from;
    bool over = false;  ///< read, or given up
    RemoteDocument document;
    std::unordered_map<Digest, std::size_t> records;
    std::int64_t steps_ns = 0;
  };

  void read(Source& source);
  bool is_closing();
  std::optional<Record> find_now(const Digest& key, std::size_t& seen);
  Record install(const Source& source, const RemoteIndex::RecordEntry& entry);
  bool is_usable(const Source& source, const RemoteIndex::RecordEntry& entry);
  Layer layer_of(const Source& source, const RemoteIndex::LayerEntry& entry) const;
  /// The first layer that `look` finds in a source that is read; waits for the others as find() does.
  std::optional<Layer> find_in_sources(const std::function<std::optional<Layer>(const Source&)>& look);
  std::size_t count_over() const;
  bool wait_for_more(std::size_t seen);

  Store& store_;
  const Options options_;
  const std::chrono::steady_clock::time_point deadline_;
  std::mutex mutex_;  // guards the sources' fields but `from`, and all below
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Source>> sources_;
  bool closing_ = false, warned_slow_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace cbuild::cache
