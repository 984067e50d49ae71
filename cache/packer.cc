// SPDX-License-Identifier: Apache-2.0
// A few plain threads take layers from a list: packing one layer waits for the disk, and the compression inside it uses
// all cores by itself, so more layers at once would only cost memory. A layer that another process is packing is left
// to finish(), which waits.
#include "cache/packer.h"

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/codec.h"
#include "cache/copy_entries.h"
#include "cache/growing_blob.h"
#include "cache/store_impl.h"
#include "cache/unpacker.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kPacksAtOnce = 2;
constexpr std::size_t kAll = std::numeric_limits<std::int32_t>::max();

/// A layer of a chain and how it would be exported.
struct Wanted {
  Layer layer;
  bool ready = false;
};

/// Passes blobs on and stops the writer when either side wants to stop.
class StoppableBlobs final : public oci::BlobStore {
 public:
  StoppableBlobs(oci::BlobStore& blobs, const CancelSource& stop, const CancelSource* cancel)
      : blobs_(blobs), stop_(stop), cancel_(cancel) {}
  std::optional<std::uint64_t> size(const Digest& digest) override { return blobs_.size(digest); }
  UniqueFd open(const Digest& digest) override { return blobs_.open(digest); }
  std::unique_ptr<oci::BlobWriter> create() override { return std::make_unique<Writer>(*this, blobs_.create()); }

 private:
  class Writer final : public oci::BlobWriter {
   public:
    Writer(const StoppableBlobs& owner, std::unique_ptr<oci::BlobWriter> inner)
        : owner_(owner), inner_(std::move(inner)) {}
    void write(std::span<const std::byte> data) override {
      owner_.stop_.check();
      if (owner_.cancel_ != nullptr) owner_.cancel_->check();
      inner_->write(data);
    }
    Digest commit(const Digest& expected, std::optional<std::uint64_t> size) override {
      return inner_->commit(expected, size);
    }

   private:
    const StoppableBlobs& owner_;
    std::unique_ptr<oci::BlobWriter> inner_;
  };

  oci::BlobStore& blobs_;
  const CancelSource& stop_;
  const CancelSource* cancel_;
};

Wanted read_wanted(const Query& query) {
  Wanted wanted{read_layer(query), false};
  Layer& layer = wanted.layer;
  // A base's layers are never encoded again; those packed here can be.
  const bool packed_here = query.boolean(18);
  if (layer.blob && (!layer.fetch_from.empty() || (layer.has_blob && !layer.has_tree && !packed_here))) {
    wanted.ready = true;
  } else if (query.boolean(17)) {
    oci::Descriptor blob;
    blob.media_type = query.text(13);
    blob.digest = query.digest(14);
    blob.size = static_cast<std::uint64_t>(query.integer(15));
    decode_extra(query.text(16), blob);
    layer.diff_id = query.digest(12);
    layer.blob = std::move(blob);
    wanted.ready = layer.has_blob = true;
  }
  return wanted;
}

/// Blobs of one media type that differ in more; empty for those that a build makes unless it is asked for others.
std::string variant_of(const oci::layer::PackOptions& options) {
  std::vector<std::string> words;
  if (options.compression == oci::layer::Compression::estargz) words.emplace_back("estargz");
  if (options.level != 0) words.push_back(cat("level ", options.level));
  if (options.clamp_mtime_s) words.push_back(cat("clamp ", *options.clamp_mtime_s));
  return join(words, " ");
}

}  // namespace

struct Packer::Impl {
  Impl(Store& for_store, const oci::layer::PackOptions& with, PackReader* with_reader)
      : store(for_store),
        reader(with_reader),
        options(with),
        media_type(oci::layer::media_type(with.compression)),
        variant(variant_of(with)),
        cancel(with.cancel),
        blobs(store.blobs(), stop, cancel) {
    options.cancel = &stop;
  }
  ~Impl();

  /// The topmost `count` layers of a chain, bottom first.
  std::vector<Wanted> wanted(const Digest& chain, std::size_t count);
  std::size_t count_new(const Digest& chain);
  void add(const std::vector<Wanted>& layers);
  bool work_once(std::unique_lock<std::mutex>& lock);
  void pack(const Digest& layer, bool wait);
  void record(const Digest& layer, const oci::layer::PackedLayer& packed);
  std::optional<FileLock> lock_layer(const Digest& layer, bool wait);

  oci::layer::PackedLayer pack_tree(const Digest& layer);

  Store& store;
  PackReader* const reader;
  oci::layer::PackOptions options;
  const std::string media_type, variant;
  CancelSource stop;
  const CancelSource* const cancel;
  StoppableBlobs blobs;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Digest> waiting;
  std::set<Digest> running, known;
  std::unordered_set<Digest> considered;  ///< layers that start() has looked at
  std::map<Digest, std::exception_ptr> failed;
  std::vector<std::jthread> threads;
  bool closed = false;
};

Packer::Impl::~Impl() {
  stop.cancel();
  {
    std::scoped_lock lock(mutex);
    closed = true;
    waiting.clear();
  }
  changed.notify_all();
  threads.clear();
}

/// How many layers from the top start() has not looked at: below the first that it has, it has seen all.
std::size_t Packer::Impl::count_new(const Digest& chain) {
  const std::vector<Digest> layers = store.chain_layers(chain);
  const std::scoped_lock lock(mutex);
  std::size_t count = 0;
  while (count < layers.size() && considered.insert(layers[layers.size() - 1 - count]).second) ++count;
  return count;
}

std::vector<Wanted> Packer::Impl::wanted(const Digest& chain, std::size_t count) {
  if (chain.empty() || count == 0) return {};
  static const std::string kSql =
      cat("WITH RECURSIVE down(n, parent, layer) AS (SELECT 0, parent, layer FROM chains WHERE id = ?1 UNION ALL"
          " SELECT n + 1, c.parent, c.layer FROM chains c JOIN down ON c.id = down.parent WHERE n + 1 < ?4) SELECT ",
          kLayerColumns,
          ", p.diff_id, p.media_type, p.digest, p.size, p.extra, pb.digest IS NOT NULL,"
          " EXISTS(SELECT 1 FROM packs WHERE layer = l.id) FROM down JOIN layers l "
          "ON l.id = down.layer"
          " LEFT JOIN blobs b ON b.digest = l.blob LEFT JOIN packs p ON p.layer = l.id AND p.variant = ?2 AND "
          "p.media_type = ?3"
          " LEFT JOIN blobs pb ON pb.digest = p.digest ORDER BY n DESC");
  auto out = store.impl().index.read([&](Database& db) {
    std::vector<Wanted> rows;
    Query query = db.query(kSql, chain, variant, media_type, static_cast<std::int64_t>(count));
    while (query.next()) rows.push_back(read_wanted(query));
    return rows;
  });
  if (out.empty()) store.impl().report_missing(cat("chain ", chain.str(), " is gone"));
  return out;
}

void Packer::Impl::add(const std::vector<Wanted>& layers) {
  std::scoped_lock lock(mutex);
  for (const Wanted& one : layers) {
    if (!one.ready && known.insert(one.layer.id).second) waiting.push_back(one.layer.id);
  }
}

/// Takes one layer from the list, if there is one. Called with the lock held, which is released meanwhile.
bool Packer::Impl::work_once(std::unique_lock<std::mutex>& lock) {
  if (waiting.empty()) return false;
  const Digest layer = waiting.front();
  waiting.pop_front();
  running.insert(layer);
  lock.unlock();
  std::exception_ptr failure;
  try {
    pack(layer, false);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  running.erase(layer);
  if (failure) failed[layer] = failure;
  changed.notify_all();
  return true;
}

std::optional<FileLock> Packer::Impl::lock_layer(const Digest& layer, bool wait) {
  const std::string name = cat("pack-", layer.hex());
  if (!wait) return store.try_lock(name);
  auto lock = store.wait_lock(name, [this] { return stop.cancelled(); });
  if (!lock) throw Error(ErrorCode::cancelled, "cancelled");
  return lock;
}

void Packer::Impl::pack(const Digest& layer, bool wait) {
  const auto lock = lock_layer(layer, wait);
  if (!lock) return;
  bool done = false, has_tree = true;
  store.impl().index.read([&](Database& db) {
    Query query = db.query(
        "SELECT b.digest IS NOT NULL, l.has_tree FROM layers l LEFT JOIN packs p ON p.layer = l.id AND p.variant = ?"
        " AND p.media_type = ? LEFT JOIN blobs b ON b.digest = p.digest WHERE l.id = ?",
        variant, media_type, layer);
    if (!query.next()) return;
    done = query.boolean(0);
    has_tree = query.boolean(1);
  });
  if (done) return;
  try {
    if (!has_tree) materialize_layer(store, layer, {.cancel = &stop});
    record(layer, pack_tree(layer));
  } catch (Error& error) {
    error.add_context("packing layer " + layer.hex().substr(0, 12));
    throw;
  }
}

oci::layer::PackedLayer Packer::Impl::pack_tree(const Digest& layer) {
  const auto entries = open_copy_entries(store, layer);
  UniqueFd tree;
  if (!entries) tree = sys::open_at(store.open_tree(layer).get(), ".", O_RDONLY | O_DIRECTORY);
  const auto pack_into = [&](oci::BlobStore& into) {
    return entries ? oci::layer::pack_planned(*entries, into, options)
                   : oci::layer::pack_layer(tree.get(), into, options);
  };
  const std::shared_ptr<GrowingBlob> growing = reader == nullptr ? nullptr : reader->on_pack(layer);
  if (!growing) return pack_into(blobs);
  const ScopeExit end([&] { growing->end(); });
  StoppableBlobs into(*growing, stop, cancel);
  return pack_into(into);
}

void Packer::Impl::record(const Digest& layer, const oci::layer::PackedLayer& packed) {
  if (variant.empty()) return store.set_packed(layer, packed.diff_id, packed.descriptor);
  const oci::Descriptor& blob = packed.descriptor;
  store.impl().index.write([&](Database& db) {
    db.run("INSERT OR REPLACE INTO packs VALUES(?, ?, ?, ?, ?, ?, ?)", layer, variant, blob.media_type, packed.diff_id,
           blob.digest, blob.size, encode_extra(blob));
  });
}

Packer::Packer(Store& store, oci::layer::PackOptions options, PackReader* reader)
    : impl_(std::make_unique<Impl>(store, options, reader)) {}
Packer::~Packer() = default;

oci::layer::PackedLayer Packer::pack(oci::layer::PlannedEntries& entries) {
  return oci::layer::pack_planned(entries, impl_->blobs, impl_->options);
}

void Packer::start(const Digest& chain) {
  impl_->add(impl_->wanted(chain, impl_->count_new(chain)));
  std::scoped_lock lock(impl_->mutex);
  while (impl_->threads.size() < std::min(kPacksAtOnce, impl_->waiting.size())) {
    auto thread = try_start_thread([impl = impl_.get()] {
      std::unique_lock guard(impl->mutex);
      while (!impl->closed) {
        if (!impl->work_once(guard)) impl->changed.wait(guard);
      }
    });
    if (!thread) break;  // finish() does it
    impl_->threads.push_back(std::move(*thread));
  }
  impl_->changed.notify_all();
}

std::vector<Layer> Packer::packed(const Digest& chain) {
  std::vector<Layer> out;
  for (Wanted& one : impl_->wanted(chain, kAll)) {
    if (!one.ready) return {};
    out.push_back(std::move(one.layer));
  }
  return out;
}

std::vector<Layer> Packer::finish(const Digest& chain) {
  std::vector<Wanted> wanted = impl_->wanted(chain, kAll);
  const auto is_missing = [](const Wanted& one) { return !one.ready; };
  if (std::any_of(wanted.begin(), wanted.end(), is_missing)) {
    impl_->add(wanted);
    for (const Wanted& one : wanted) {
      if (one.ready) continue;
      std::unique_lock lock(impl_->mutex);
      // Help with whatever is next until ours is neither waiting nor being done.
      const auto open = [&] {
        return impl_->running.contains(one.layer.id) ||
               std::find(impl_->waiting.begin(), impl_->waiting.end(), one.layer.id) != impl_->waiting.end();
      };
      while (open()) {
        if (!impl_->work_once(lock)) impl_->changed.wait(lock);
      }
      if (const auto failure = impl_->failed.find(one.layer.id); failure != impl_->failed.end()) {
        std::rethrow_exception(failure->second);
      }
      lock.unlock();
      impl_->pack(one.layer.id, true);  // at once unless another process has it
    }
    wanted = impl_->wanted(chain, kAll);
  }
  std::vector<Layer> out;
  for (Wanted& one : wanted) {
    if (!one.ready) throw Error(ErrorCode::internal, cat("layer ", one.layer.id.str(), " was not packed"));
    out.push_back(std::move(one.layer));
  }
  return out;
}

}  // namespace cbuild::cache
