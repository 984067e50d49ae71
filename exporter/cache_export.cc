// SPDX-License-Identifier: Apache-2.0
// The manifest that a backend has says which blobs are there: reading it once stands for a question per blob, on any
// machine, and cannot be out of date, because a registry keeps blobs that a manifest names.
#include "exporter/cache_export.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/blob_places.h"
#include "cache/layer_tables.h"
#include "cache/remote/index_bound.h"
#include "cache/remote/mount_pack.h"
#include "exporter/image_builder.h"
#include "exporter/transfers.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

constexpr unsigned kMostTurns = 10;
constexpr std::int64_t kDayNs = 86'400'000'000'000;
constexpr std::string_view kEmptyType = "application/vnd.oci.empty.v1+json";

std::int64_t today() { return sys::now_ns() / kDayNs; }

/// The steps whose result is one of the images or lies below it.
std::vector<CachedStep> steps_of_images(const CacheContent& content, const std::vector<Digest>& chains,
                                        cache::Store& store) {
  std::vector<std::vector<Digest>> images;
  for (const Digest& chain : chains) images.push_back(store.chain_layers(chain));
  std::vector<CachedStep> out;
  for (const CachedStep& step : content.steps) {
    const std::vector<Digest> layers = store.chain_layers(step.record.chain);
    const auto is_below = [&](const std::vector<Digest>& image) {
      return layers.size() <= image.size() && std::equal(layers.begin(), layers.end(), image.begin());
    };
    if (std::any_of(images.begin(), images.end(), is_below)) out.push_back(step);
  }
  return out;
}

/// Turns the store's chains into an index's. Layers are packed by then.
class IndexWriter {
 public:
  IndexWriter(cache::Store& store, cache::Packer& packer, bool inline_form)
      : store_(store), packer_(packer), inline_form_(inline_form) {}

  void add(const std::vector<CachedStep>& steps) {
    pack(steps);
    for (const CachedStep& step : steps) {
      cache::RemoteIndex::RecordEntry entry;
      entry.keys = {step.record.key};
      if (step.definition_key != step.record.key) entry.keys.push_back(step.definition_key);
      entry.chain = chain(step.record.chain);
      entry.step_name = step.record.step_name;
      entry.created_ns = step.record.created_ns;
      entry.duration_ns = step.record.duration_ns;
      if (!inline_form_) {  // an image is not to change its digest by the day, nor to grow by explanations
        entry.used_day = today();
        for (const solver::KeyPart& part : step.record.parts)
          if (!part.label.starts_with("about ")) entry.parts.push_back(part);  // those speak of this machine
      }
      builder_.record(std::move(entry));
    }
  }

  cache::RemoteIndexBuilder& builder() { return builder_; }

 private:
  /// finish() gives all layers of a chain, so only chains that no other one stands on are asked for.
  void pack(const std::vector<CachedStep>& steps) {
    std::set<Digest> tops, below;
    for (const CachedStep& step : steps) {
      if (!step.record.chain.empty()) tops.insert(step.record.chain);
      for (auto known = store_.chain(step.record.chain); known && !known->parent.empty();
           known = store_.chain(known->parent))
        if (!below.insert(known->parent).second) break;
    }
    for (const Digest& top : tops) {
      if (below.contains(top)) continue;
      for (cache::Layer& layer : packer_.finish(top)) packed_.try_emplace(layer.id, std::move(layer));
    }
  }

  std::int64_t chain(const Digest& id) {
    if (id.empty()) return -1;
    std::vector<cache::Chain> links;
    std::int64_t at = -1;
    for (Digest next = id; !next.empty(); next = links.back().parent) {
      if (const auto known = places_.find(next); known != places_.end()) {
        at = known->second;
        break;
      }
      const auto link = store_.chain(next);
      if (!link) throw Error(ErrorCode::missing_content, cat("store: chain ", next.str(), " is gone"));
      links.push_back(*link);
    }
    for (std::size_t i = links.size(); i-- > 0;)
      places_[links[i].id] = at = builder_.chain(at, builder_.layer(entry_of(links[i].layer)), links[i].identity);
    return at;
  }

  cache::RemoteIndex::LayerEntry entry_of(const Digest& id) const {
    const cache::Layer& layer = packed_.at(id);
    cache::RemoteIndex::LayerEntry entry;
    entry.diff_id = layer.diff_id;
    entry.description = layer.description;
    entry.created_ns = layer.created_ns;
    if (inline_form_) return entry;
    entry.blob = layer_descriptor(layer, false);
    if (layer.fetch_from.starts_with(cache::kImageScheme)) entry.origin = layer.fetch_from;
    if (const auto table = cache::layer_table_blob(store_, layer); table && store_.blobs().size(table->digest))
      entry.table = *table;
    return entry;
  }

  cache::Store& store_;
  cache::Packer& packer_;
  const bool inline_form_;
  cache::RemoteIndexBuilder builder_;
  std::map<Digest, cache::Layer> packed_;  ///< by the store's id
  std::map<Digest, std::int64_t> places_;  ///< of chains
};

/// The cache that the backend has now.
struct Prior {
  std::string body;
  cache::RemoteIndex index;
  std::vector<oci::Descriptor> listed;
  std::set<Digest> blobs;  ///< those of `listed` that are there
};

/// The backend's manifest, unless it is known. Nothing that can be used there is the same as nothing there.
std::optional<Prior> read_prior(cache::CacheBackend& backend, const std::string& known = {}) {
  try {
    Prior prior;
    prior.body = known.empty() ? backend.manifest(std::nullopt) : known;
    const auto document = oci::parse_manifest(prior.body);
    const auto* manifest = std::get_if<oci::Manifest>(&document);
    if (manifest == nullptr || manifest->config.media_type != cache::kRemoteIndexType) return std::nullopt;
    prior.index = cache::parse_remote_index(backend.document(manifest->config));
    prior.listed = manifest->layers;
    for (const oci::Descriptor& layer : prior.listed) prior.blobs.insert(layer.digest);
    return prior;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return std::nullopt;
  }
}

/// For a place where blobs do not stay by themselves: asks for each, and leaves out steps whose blobs are gone.
void drop_lost(cache::CacheBackend& backend, Prior& prior, cache::Store& store) {
  std::mutex mutex;  // guards prior.blobs
  prior.blobs.clear();
  run_transfers(prior.listed.size(), [&](std::size_t i) {
    if (!backend.offer_blob(prior.listed[i], std::nullopt)) return;
    const std::lock_guard lock(mutex);
    prior.blobs.insert(prior.listed[i].digest);
  });
  const auto is_lost = [&](const oci::Descriptor& blob) {
    return !prior.blobs.contains(blob.digest) && !store.blobs().size(blob.digest);
  };
  cache::RemoteIndex& index = prior.index;
  std::vector<bool> lost;
  for (const auto& chain : index.chains) {
    const auto& layer = index.layers.at(chain.layer);
    const bool below = chain.parent >= 0 && lost.at(static_cast<std::size_t>(chain.parent));
    lost.push_back(below || (layer.origin.empty() && is_lost(layer.blob)));
  }
  std::erase_if(index.records, [&](const auto& record) {
    return record.chain >= 0 && lost.at(static_cast<std::size_t>(record.chain));
  });
  std::erase_if(index.mounts, [&](const auto& mount) { return is_lost(mount.blob); });
  for (auto& layer : index.layers)
    if (!layer.table.digest.empty() && is_lost(layer.table)) layer.table = {};
}

/// Puts blobs into the backend, several at once.
class Uploader {
 public:
  Uploader(cache::CacheBackend& backend, const CacheContent& content, const std::set<Digest>& known,
           ExportContext& context, CacheExportReport& report)
      : backend_(backend), content_(content), known_(known), context_(context), report_(report) {}

  void run(const std::vector<oci::Descriptor>& blobs) {
    for (const oci::Descriptor& blob : blobs) {
      if (known_.contains(blob.digest)) {
        ++report_.blobs_known;
      } else {
        jobs_.push_back(blob);
      }
    }
    run_transfers(jobs_.size(), [this](std::size_t job) { put(jobs_[job]); });
  }

  /// Layers of the store by the blob they are encoded as: where a lazy one is fetched from.
  void note_layer(const oci::Descriptor& blob, const cache::Layer& layer) { layers_[blob.digest] = layer; }

 private:
  bool was_sent(const oci::Descriptor& blob) {
    const auto target = context_.early == nullptr ? std::nullopt : backend_.repository();
    return target && context_.early->finish(*target, blob, nullptr, context_.cancel);
  }

  void put(const oci::Descriptor& blob) {
    const auto layer = layers_.find(blob.digest);
    std::optional<oci::Reference> mount = content_.pushed;
    if (layer != layers_.end())
      if (const auto from = cache::image_reference(layer->second.fetch_from)) mount = from;
    if (was_sent(blob)) {
      // While the build ran.
    } else if (context_.store.blobs().size(blob.digest)) {
      backend_.put_blob(blob, mount);
    } else if (!backend_.offer_blob(blob, mount)) {
      if (layer == layers_.end())
        throw Error(ErrorCode::missing_content, cat("blob ", blob.digest.str(), " of the cache is gone"));
      context_.fetch_blob(layer->second, context_.store.blobs());
      backend_.put_blob(blob, mount);
    }
    const std::lock_guard lock(mutex_);
    ++report_.blobs_new;
    report_.bytes_new += blob.size;
    if (context_.progress)
      context_.progress->on_event(TaskCounter{context_.task, blob.digest.str(), blob.size, blob.size, true, true});
  }

  cache::CacheBackend& backend_;
  const CacheContent& content_;
  const std::set<Digest>& known_;
  ExportContext& context_;
  std::map<Digest, cache::Layer> layers_;
  std::vector<oci::Descriptor> jobs_;
  std::mutex mutex_;  // guards report_
  CacheExportReport& report_;
};

/// The blobs that the manifest has to list next to the index, each once.
std::vector<oci::Descriptor> listed_blobs(const cache::RemoteIndex& index) {
  std::vector<oci::Descriptor> blobs;
  std::set<Digest> seen;
  const auto add = [&](const oci::Descriptor& blob) {
    if (seen.insert(blob.digest).second) blobs.push_back(blob);
  };
  for (const auto& layer : index.layers) {
    if (layer.origin.empty()) add(layer.blob);
    if (!layer.table.digest.empty()) add(layer.table);
  }
  for (const auto& mount : index.mounts) add(mount.blob);
  return blobs;
}

/// One export, on top of the cache `prior` that is there.
class Export {
 public:
  Export(const cache::CacheSpec& spec, cache::CacheBackend& backend, const CacheContent& content, cache::Packer& packer,
         ExportContext& context)
      : spec_(spec), backend_(backend), content_(content), packer_(packer), context_(context) {}

  /// What run() would report if it found all there; nullopt if it would write.
  std::optional<CacheExportReport> compare(const Prior& prior) {
    describe(&prior);
    if (prior.body != oci::to_json(manifest_)) return std::nullopt;
    return unchanged();
  }

  /// nullopt if somebody else has written meanwhile: it has to be read again.
  std::optional<CacheExportReport> run(std::optional<Prior> prior) {
    const bool kept = backend_.keeps_named_blobs();
    if (prior && !kept) drop_lost(backend_, *prior, context_.store);
    if (!prior || !kept) {
      describe(prior ? &*prior : nullptr);
    } else if (const auto report = compare(*prior)) {
      return *report;
    }
    if (prior && !kept && is_complete(*prior)) return unchanged();
    const std::set<Digest> known = prior ? prior->blobs : std::set<Digest>{};
    Uploader uploader(backend_, content_, known, context_, report_);
    for (const auto& [blob, layer] : sources_) uploader.note_layer(blob, layer);
    uploader.run(manifest_.layers);
    backend_.put_blob(manifest_.config, std::nullopt);
    if (!backend_.put_manifest(oci::to_json(manifest_))) return std::nullopt;
    collect();
    return finished();
  }

 private:
  CacheExportReport finished() {
    const std::string body = oci::to_json(manifest_);
    report_.manifest.media_type = manifest_.media_type;
    report_.manifest.digest = sha256(body);
    report_.manifest.size = body.size();
    return report_;
  }

  CacheExportReport unchanged() {
    report_.blobs_known = manifest_.layers.size();
    report_.unchanged = true;
    return finished();
  }

  /// Where blobs do not stay by themselves: whether the place has all of the manifest, which need not be renewed.
  bool is_complete(const Prior& prior) {
    return !backend_.renews_manifest() && prior.body == oci::to_json(manifest_) &&
           std::all_of(manifest_.layers.begin(), manifest_.layers.end(),
                       [&](const oci::Descriptor& layer) { return prior.blobs.contains(layer.digest); }) &&
           backend_.offer_blob(manifest_.config, std::nullopt);
  }

  /// The cache is written by then: a failure is worth a note.
  void collect() {
    if (!spec_.collect) return;
    try {
      backend_.collect();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      report_.notes.push_back(
          cat("blobs that no index names are not removed (gc=false asks for no more): ", error.what()));
    }
  }

  /// Fills manifest_, and report_ and sources_ along with it.
  void describe(const Prior* prior) {
    report_ = {};
    sources_.clear();
    const cache::RemoteIndex index = make_index(prior);
    report_.records = index.records.size();
    oci::BlobStore& blobs = context_.store.blobs();
    oci::Manifest& manifest = manifest_ = {};
    manifest.config = oci::put_blob(blobs, to_json(index), std::string(cache::kRemoteIndexType));
    manifest.layers = listed_blobs(index);
    // The image-spec wants at least one layer.
    if (manifest.layers.empty()) manifest.layers.push_back(oci::put_blob(blobs, "{}", std::string(kEmptyType)));
  }

  cache::RemoteIndex make_index(const Prior* prior) {
    IndexWriter writer(context_.store, packer_, false);
    const auto steps =
        spec_.all_steps ? content_.steps : steps_of_images(content_, content_.image_chains, context_.store);
    writer.add(steps);
    note_sources(steps);
    for (const std::string& wanted : spec_.mounts) add_mounts(wanted, writer.builder());
    if (const std::uint64_t own = cache::bytes_of(writer.builder().index()); own > spec_.max_bytes)
      report_.notes.push_back(cat("this build's own steps take ", format_size(own), ", more than max-size"));
    if (prior) writer.builder().merge(prior->index, {today() - spec_.keep_days, spec_.max_bytes});
    return writer.builder().take();
  }

  void note_sources(const std::vector<CachedStep>& steps) {
    std::set<Digest> seen;
    for (const CachedStep& step : steps) {
      for (const Digest& id : context_.store.chain_layers(step.record.chain)) {
        if (!seen.insert(id).second) continue;
        const auto layer = context_.store.layer(id);
        if (layer && layer->blob && !layer->fetch_from.empty()) sources_.emplace_back(*layer->blob, *layer);
      }
    }
  }

  void add_mounts(const std::string& wanted, cache::RemoteIndexBuilder& builder) {
    bool found = false;
    for (const cache::CacheMountInfo& mount : cache::cache_mounts(context_.store)) {
      if (wanted != "*" && mount.id != wanted) continue;
      found = true;
      std::string why_not;
      const auto entry = cache::pack_cache_mount(context_.store, mount, spec_.mount_bytes, context_.cancel, why_not);
      if (entry) {
        builder.mount(*entry);
      } else {
        report_.notes.push_back(cat("cache mount ", mount.id, " is not exported: ", why_not));
      }
    }
    if (!found && wanted != "*") report_.notes.push_back(cat("no cache mount has the id ", wanted));
  }

  const cache::CacheSpec& spec_;
  cache::CacheBackend& backend_;
  const CacheContent& content_;
  cache::Packer& packer_;
  ExportContext& context_;
  CacheExportReport report_;
  oci::Manifest manifest_;
  std::vector<std::pair<oci::Descriptor, cache::Layer>> sources_;
};

/// On top of what is there now. nullopt if that changed meanwhile.
std::optional<CacheExportReport> export_once(Export& job, cache::CacheBackend& backend) {
  const std::optional<Prior> prior = read_prior(backend);
  try {
    return job.run(prior);
  } catch (const Error& error) {
    const bool hopeless = !prior || error.code() == ErrorCode::missing_content ||
                          error.code() == ErrorCode::cancelled || error.code() == ErrorCode::denied ||
                          error.code() == ErrorCode::no_space;
    if (hopeless) throw;
  }
  // The backend may have lost blobs that its manifest names: once more, asking for each.
  return job.run(std::nullopt);
}

}  // namespace

CacheExportReport export_cache(const cache::CacheSpec& spec, cache::CacheBackend& backend, const CacheContent& content,
                               cache::Packer& packer, ExportContext& context, const std::string& seen) {
  Export job(spec, backend, content, packer, context);
  // Not with cache mounts, which would be packed twice.
  if (!seen.empty() && spec.mounts.empty())
    if (const std::optional<Prior> known = read_prior(backend, seen))
      if (const auto report = job.compare(*known)) return *report;
  for (unsigned turn = 0; turn < kMostTurns; ++turn)
    if (const auto report = export_once(job, backend)) return *report;
  throw Error(ErrorCode::network, "other builds write to it all the time");
}

std::string inline_cache(const CacheContent& content, const Digest& image_chain, cache::Packer& packer,
                         cache::Store& store) {
  IndexWriter writer(store, packer, true);
  writer.add(steps_of_images(content, {image_chain}, store));
  return to_json(writer.builder().take());
}

}  // namespace cbuild::exporter
