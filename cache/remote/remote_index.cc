// SPDX-License-Identifier: Apache-2.0
// The JSON document of a remote cache (docs/cache-format.md), and the builder that makes and merges such documents.
// Layers, chains and records refer to each other by their place in a list, and a chain only to earlier chains, so a
// document cannot hold a cycle and is checked in one pass. It comes from outside: counts, digests and media types are
// checked. Merging takes records that are new here and recently used, and only the layers these need.
#include "cache/remote/remote_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "cache/layer_tables.h"
#include "cache/remote/index_bound.h"
#include "oci/json.h"
#include "oci/table_annotations.h"

namespace cbuild::cache {

namespace {

namespace json = oci::json;
using Value = nlohmann::json;

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMaxEntries = 1'000'000, kMaxKeys = 64, kMaxParts = 1000;
constexpr std::string_view kOriginScheme = "docker-image://";

[[noreturn]] void bad(const std::string& message) { throw Error(ErrorCode::corrupt, message); }

const Value& list(const Value& object, const char* key, std::size_t limit) {
  static const Value kNone = Value::array();
  const Value* found = json::array(object, key);
  if (found == nullptr) return kNone;
  if (found->size() > limit) bad(cat("\"", key, "\" has more than ", limit, " entries"));
  for (const Value& entry : *found)
    if (!entry.is_object()) bad(cat("\"", key, "\" is not an array of objects"));
  return *found;
}

Digest digest(const std::string& text, const char* what) {
  const auto parsed = Digest::parse(text);
  if (!parsed) bad(cat(what, " is not a sha256 digest: ", sanitize_for_terminal(text.substr(0, 100))));
  return *parsed;
}

/// An index into a list of `size` entries; -1 for none.
std::int64_t place(const Value& object, const char* key, std::size_t size) {
  if (json::find(object, key) == nullptr) return -1;
  const std::int64_t at = json::integer(object, key);
  if (at < 0 || static_cast<std::uint64_t>(at) >= size) bad(cat("\"", key, "\" ", at, " is out of range"));
  return at;
}

oci::Descriptor parse_blob(const Value& object) {
  oci::Descriptor blob;
  const Value* found = json::object(object, "blob");
  if (found == nullptr) return blob;
  blob.media_type = json::text(*found, "mediaType");
  blob.digest = digest(json::text(*found, "digest"), "blob digest");
  const std::int64_t size = json::integer(*found, "size");
  if (size < 0) bad("a blob of negative size");
  if (!oci::is_layer(blob.media_type))
    bad(cat("not a layer's media type: ", sanitize_for_terminal(blob.media_type.substr(0, 100))));
  blob.size = static_cast<std::uint64_t>(size);
  blob.annotations = oci::table_annotations(json::text_map(*found, "annotations"));
  return blob;
}

/// One that is not right is none: it is only ever asked for in place of the layer.
oci::Descriptor parse_table(const Value& layer) {
  oci::Descriptor table;
  const Value* found = json::object(layer, "table");
  if (found == nullptr) return table;
  const std::int64_t size = json::integer(*found, "size");
  if (size <= 0 || static_cast<std::uint64_t>(size) > kMaxRemoteIndex) return table;
  table.media_type = kLayerTableType;
  table.digest = digest(json::text(*found, "digest"), "table digest");
  table.size = static_cast<std::uint64_t>(size);
  return table;
}

RemoteIndex::LayerEntry parse_layer(const Value& value) {
  RemoteIndex::LayerEntry layer;
  layer.diff_id = digest(json::text(value, "diffId"), "diffId");
  layer.blob = parse_blob(value);
  layer.origin = json::text(value, "origin");
  if (!layer.origin.empty() && !layer.origin.starts_with(kOriginScheme)) bad("an origin that is not an image");
  layer.description = json::text(value, "description");
  layer.created_ns = json::integer(value, "created");
  layer.table = parse_table(value);
  return layer;
}

RemoteIndex::RecordEntry parse_record(const Value& value, std::size_t chains) {
  RemoteIndex::RecordEntry record;
  const std::vector<std::string> keys = json::texts(value, "keys");
  if (keys.empty() || keys.size() > kMaxKeys) bad(cat("a record with ", keys.size(), " keys"));
  for (const std::string& key : keys) record.keys.push_back(digest(key, "key"));
  record.chain = place(value, "chain", chains);
  record.step_name = json::text(value, "step");
  record.created_ns = json::integer(value, "created");
  record.duration_ns = json::integer(value, "duration");
  record.used_day = json::integer(value, "usedDay");
  const std::vector<std::string> parts = json::texts(value, "parts");
  if (parts.size() % 2 != 0 || parts.size() > 2 * kMaxParts) bad("\"parts\" is not a list of pairs");
  for (std::size_t i = 0; i < parts.size(); i += 2) record.parts.push_back({parts[i], parts[i + 1]});
  return record;
}

RemoteIndex::MountEntry parse_mount(const Value& value) {
  RemoteIndex::MountEntry mount;
  mount.id = json::text(value, "id");
  mount.key = json::text(value, "key");
  if (!Digest::from_hex(mount.key)) bad("a mount without a key");
  mount.diff_id = digest(json::text(value, "diffId"), "diffId");
  mount.blob = parse_blob(value);
  if (mount.blob.digest.empty()) bad("a mount without a blob");
  return mount;
}

RemoteIndex read_index(const Value& document) {
  const std::int64_t version = json::integer(document, "version");
  if (version > kVersion) throw Error(ErrorCode::unsupported, cat("written by a later program, version ", version));
  if (version != kVersion) bad("\"version\" is missing");
  RemoteIndex index;
  for (const Value& value : list(document, "layers", kMaxEntries)) index.layers.push_back(parse_layer(value));
  for (const Value& value : list(document, "chains", kMaxEntries)) {
    RemoteIndex::ChainEntry chain;
    chain.parent = place(value, "parent", index.chains.size());
    const std::int64_t layer = place(value, "layer", index.layers.size());
    if (layer < 0) bad("a chain without a layer");
    chain.layer = static_cast<std::size_t>(layer);
    chain.identity = digest(json::text(value, "identity"), "identity");
    index.chains.push_back(chain);
  }
  for (const Value& value : list(document, "records", kMaxEntries))
    index.records.push_back(parse_record(value, index.chains.size()));
  for (const Value& value : list(document, "mounts", kMaxEntries)) index.mounts.push_back(parse_mount(value));
  return index;
}

void write_blob(json::Writer& writer, const oci::Descriptor& blob) {
  if (blob.digest.empty()) return;
  writer.key("blob").begin_object().key("mediaType").text(blob.media_type);
  writer.key("digest").text(blob.digest.str()).key("size").number(static_cast<std::int64_t>(blob.size));
  writer.opt_text_map("annotations", oci::table_annotations(blob.annotations)).end_object();
}

/// What a layer is known by: with its table, as claim_id().
Digest place_key(const RemoteIndex::LayerEntry& entry) {
  return CanonicalWriter().digest(entry.diff_id).digest(entry.blob.digest).text(oci::table_claim(entry.blob)).hash();
}

void write_record(json::Writer& writer, const RemoteIndex::RecordEntry& record) {
  writer.begin_object().key("keys").begin_array();
  for (const Digest& key : record.keys) writer.text(key.str());
  writer.end_array();
  if (record.chain >= 0) writer.key("chain").number(record.chain);
  writer.opt_text("step", record.step_name).opt_number("created", record.created_ns);
  writer.opt_number("duration", record.duration_ns).opt_number("usedDay", record.used_day);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < std::min(record.parts.size(), kMaxParts); ++i) {
    parts.push_back(record.parts[i].label);
    parts.push_back(record.parts[i].value);
  }
  writer.opt_texts("parts", parts).end_object();
}

void write_layer(json::Writer& writer, const RemoteIndex::LayerEntry& layer) {
  writer.begin_object().key("diffId").text(layer.diff_id.str());
  write_blob(writer, layer.blob);
  writer.opt_text("origin", layer.origin).opt_text("description", layer.description);
  writer.opt_number("created", layer.created_ns);
  if (!layer.table.digest.empty()) {
    writer.key("table").begin_object().key("digest").text(layer.table.digest.str());
    writer.key("size").number(static_cast<std::int64_t>(layer.table.size)).end_object();
  }
  writer.end_object();
}

void write_chain(json::Writer& writer, const RemoteIndex::ChainEntry& chain) {
  writer.begin_object();
  if (chain.parent >= 0) writer.key("parent").number(chain.parent);
  writer.key("layer").number(static_cast<std::int64_t>(chain.layer));
  writer.key("identity").text(chain.identity.str()).end_object();
}

void write_mount(json::Writer& writer, const RemoteIndex::MountEntry& mount) {
  writer.begin_object().key("id").text(mount.id).key("key").text(mount.key);
  writer.key("diffId").text(mount.diff_id.str());
  write_blob(writer, mount.blob);
  writer.end_object();
}

template <typename Entry>
void write_list(json::Writer& writer, const char* key, const std::vector<Entry>& entries,
                void (*write)(json::Writer&, const Entry&)) {
  if (entries.empty()) return;
  writer.key(key).begin_array();
  for (const Entry& entry : entries) write(writer, entry);
  writer.end_array();
}

}  // namespace

std::string to_json(const RemoteIndex& index) {
  json::Writer writer;
  writer.begin_object().key("version").number(kVersion);
  write_list(writer, "layers", index.layers, write_layer);
  write_list(writer, "chains", index.chains, write_chain);
  write_list(writer, "records", index.records, write_record);
  write_list(writer, "mounts", index.mounts, write_mount);
  return writer.end_object().take();
}

RemoteIndex parse_remote_index(std::string_view text) {
  const Value document = json::parse_object(text, kMaxRemoteIndex, "cache index");
  try {
    return read_index(document);
  } catch (Error& error) {
    error.add_context("cache index");
    throw;
  }
}

std::size_t RemoteIndexBuilder::layer(const RemoteIndex::LayerEntry& entry) {
  const auto [at, fresh] = layers_.try_emplace(place_key(entry), index_.layers.size());
  if (fresh)
    index_.layers.push_back(entry);
  else if (index_.layers[at->second].table.digest.empty())
    index_.layers[at->second].table = entry.table;
  return at->second;
}

std::int64_t RemoteIndexBuilder::chain(std::int64_t parent, std::size_t layer, const Digest& identity) {
  const auto next = static_cast<std::int64_t>(index_.chains.size());
  const auto [at, fresh] = chains_.try_emplace({parent, {layer, identity}}, next);
  if (fresh) index_.chains.push_back({parent, layer, identity});
  return at->second;
}

void RemoteIndexBuilder::add_keys(std::size_t record, const std::vector<Digest>& keys) {
  std::vector<Digest>& known = index_.records[record].keys;
  for (const Digest& key : keys)
    if (known.size() < kMaxKeys && records_.try_emplace(key, record).second) known.push_back(key);
}

void RemoteIndexBuilder::record(RemoteIndex::RecordEntry entry) {
  std::vector<Digest> keys = std::exchange(entry.keys, {});
  if (const auto at = records_.find(keys.front()); at != records_.end()) {
    RemoteIndex::RecordEntry& known = index_.records[at->second];
    known.used_day = std::max(known.used_day, entry.used_day);
    if (known.chain == entry.chain) return add_keys(at->second, keys);
  }
  std::erase_if(keys, [this](const Digest& key) { return records_.contains(key); });
  if (keys.empty()) return;
  index_.records.push_back(std::move(entry));
  add_keys(index_.records.size() - 1, keys);
}

void RemoteIndexBuilder::mount(const RemoteIndex::MountEntry& entry) {
  const auto same = [&](const RemoteIndex::MountEntry& known) { return known.key == entry.key; };
  if (std::none_of(index_.mounts.begin(), index_.mounts.end(), same)) index_.mounts.push_back(entry);
}

/// `places`: where the other's chains are here; -1 for those that are not taken in yet.
std::int64_t RemoteIndexBuilder::adopt_chain(const RemoteIndex& other, std::int64_t top,
                                             std::vector<std::int64_t>& places) {
  std::vector<std::size_t> missing;
  std::int64_t at = top;
  while (at >= 0 && places[static_cast<std::size_t>(at)] < 0) {
    missing.push_back(static_cast<std::size_t>(at));
    at = other.chains[static_cast<std::size_t>(at)].parent;
  }
  for (std::size_t i = missing.size(); i-- > 0;) {
    const RemoteIndex::ChainEntry& entry = other.chains[missing[i]];
    const std::int64_t parent = entry.parent < 0 ? -1 : places[static_cast<std::size_t>(entry.parent)];
    places[missing[i]] = chain(parent, layer(other.layers[entry.layer]), entry.identity);
  }
  return top < 0 ? -1 : places[static_cast<std::size_t>(top)];
}

void RemoteIndexBuilder::merge(const RemoteIndex& other, const IndexBound& bound) {
  const IndexShare share = fitting_share(index_, other, bound);
  for (const RemoteIndex::LayerEntry& entry : other.layers)  // whoever wrote it may have known more of a layer
    if (layers_.contains(place_key(entry))) layer(entry);
  std::vector<std::int64_t> places(other.chains.size(), -1);
  for (std::size_t i = 0; i < other.records.size(); ++i) {
    if (!share.records[i]) continue;
    const RemoteIndex::RecordEntry& entry = other.records[i];
    // A record with the same keys here stays, and the other's layers are not needed for it.
    const auto is_known = [this](const Digest& key) { return records_.contains(key); };
    RemoteIndex::RecordEntry taken = entry;
    taken.chain = std::all_of(entry.keys.begin(), entry.keys.end(), is_known)
                      ? index_.records[records_.at(entry.keys.front())].chain
                      : adopt_chain(other, entry.chain, places);
    record(std::move(taken));
  }
  for (std::size_t i = 0; i < other.mounts.size(); ++i)
    if (share.mounts[i]) mount(other.mounts[i]);
}

}  // namespace cbuild::cache
