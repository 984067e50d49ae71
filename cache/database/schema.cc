// SPDX-License-Identifier: Apache-2.0
// Tables of the index. Digests are 32-byte blobs, the empty digest an empty one. `doomed` marks rows that gc is about
// to take: readers that have not pinned them treat them as gone. The presence of a row makes an object exist; a file
// without a row is litter.
//
// Power loss: the write-ahead log is synced only when it is moved into the main file, so the index is always whole but
// may have lost its newest rows, and a row may have survived while the files it names did not. `volatile` lists rows
// that were published since the last sync; after a reboot all it lists is forgotten.
#include "cache/database/schema.h"

#include <iterator>
#include <vector>

#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cache {

namespace {

/// Version 1.
constexpr char kTables[] = R"sql(
CREATE TABLE meta(boot BLOB NOT NULL, generation BLOB NOT NULL);
CREATE TABLE layers(id BLOB PRIMARY KEY, diff_id BLOB, media_type BLOB, blob BLOB, blob_size INTEGER, blob_extra BLOB,
  fetch_from BLOB, has_tree INTEGER, disk_bytes INTEGER, description BLOB, created_ns INTEGER, last_used_ns INTEGER,
  doomed INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE INDEX layers_by_diff_id ON layers(diff_id) WHERE diff_id <> x'';
CREATE TABLE packs(layer BLOB, variant BLOB, media_type BLOB, diff_id BLOB, digest BLOB, size INTEGER, extra BLOB,
  PRIMARY KEY(layer, variant, media_type)) WITHOUT ROWID;
CREATE TABLE chains(id BLOB PRIMARY KEY, parent BLOB, layer BLOB, identity BLOB, depth INTEGER, last_used_ns INTEGER,
  doomed INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE INDEX chains_by_parent ON chains(parent);
CREATE INDEX chains_by_layer ON chains(layer);
CREATE TABLE records(id INTEGER PRIMARY KEY, key BLOB UNIQUE, definition_key BLOB, chain BLOB, created_ns INTEGER,
  duration_ns INTEGER, last_used_ns INTEGER, step_name BLOB, parts BLOB);
CREATE INDEX records_by_chain ON records(chain);
CREATE INDEX records_by_step ON records(step_name, created_ns);
CREATE TABLE keys(key BLOB PRIMARY KEY, record INTEGER) WITHOUT ROWID;
CREATE INDEX keys_by_record ON keys(record);
CREATE TABLE evictions(key BLOB PRIMARY KEY, at_ns INTEGER) WITHOUT ROWID;
CREATE TABLE blobs(digest BLOB PRIMARY KEY, size INTEGER, created_ns INTEGER, last_used_ns INTEGER,
  doomed INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TABLE volatile(seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER, id BLOB);
CREATE TABLE memos(chain BLOB, selector BLOB, digest BLOB, PRIMARY KEY(chain, selector)) WITHOUT ROWID;
CREATE TABLE images(name BLOB PRIMARY KEY, manifest BLOB, media_type BLOB, size INTEGER, created_ns INTEGER) WITHOUT ROWID;
CREATE TABLE mounts(dir BLOB PRIMARY KEY, description BLOB, created_ns INTEGER, last_used_ns INTEGER) WITHOUT ROWID;
CREATE TABLE builds(id BLOB PRIMARY KEY, name BLOB, status BLOB, dockerfile BLOB, target BLOB, started_ns INTEGER,
  finished_ns INTEGER, steps_total INTEGER, steps_cached INTEGER, detail BLOB);
CREATE INDEX builds_by_time ON builds(started_ns);
)sql";

/// The additions of each later version.
constexpr const char* kAdditions[] = {
    "CREATE TABLE logs(build BLOB PRIMARY KEY, bytes INTEGER) WITHOUT ROWID",
};
static_assert(std::size(kAdditions) == kSchemaVersion - 1);

void add_from(Database& db, int version) {
  for (; version < kSchemaVersion; ++version) db.script(kAdditions[version - 1]);
  db.script(cat("PRAGMA user_version=", kSchemaVersion).c_str());
}

std::vector<Digest> digests(Query query) {
  std::vector<Digest> out;
  while (query.next()) out.push_back(query.digest(0));
  return out;
}

void delete_records(Database& db, const Digest& chain, std::int64_t evicted_ns) {
  if (evicted_ns != 0) {
    db.run(
        "INSERT OR REPLACE INTO evictions SELECT keys.key, ?2 FROM keys JOIN records ON records.id = "
        "keys.record"
        " WHERE records.chain = ?1",
        chain, evicted_ns);
  }
  db.run("DELETE FROM keys WHERE record IN (SELECT id FROM records WHERE chain = ?)", chain);
  db.run("DELETE FROM records WHERE chain = ?", chain);
}

}  // namespace

int schema_version(Database& db) {
  Query query = db.query("PRAGMA user_version");
  return query.next() ? static_cast<int>(query.integer(0)) : 0;
}

// An index with nothing in it needs no sync, and a fresh machine would wait for five: what is written from now on goes
// through the log, whose checksums tell what of it a power loss has left.
void create_schema(Database& db, const std::string& generation) {
  db.script("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL");
  Transaction transaction(db);
  db.script(kTables);
  db.run("INSERT INTO meta VALUES(?, ?)", sys::boot_id(), generation);
  add_from(db, 1);
  transaction.commit();
  db.script("PRAGMA synchronous=NORMAL");
}

void migrate_schema(Database& db) {
  Transaction transaction(db);
  if (const int version = schema_version(db); version < kSchemaVersion) add_from(db, version);
  transaction.commit();
}

std::int64_t forget_unsynced(Database& db) {
  Transaction transaction(db);
  Query boot = db.query("SELECT boot FROM meta");
  if (boot.next() && boot.text(0) == sys::boot_id()) return 0;  // another process was faster
  // A layer that can be fetched only loses its tree.
  std::int64_t count = db.run(
      "UPDATE layers SET has_tree = 0, disk_bytes = 0 WHERE fetch_from <> x'' AND id IN"
      " (SELECT id FROM volatile WHERE kind = ?)",
      static_cast<int>(Kind::layer));
  const auto layers =
      digests(db.query("SELECT v.id FROM volatile v JOIN layers l ON l.id = v.id"
                       " WHERE v.kind = ? AND l.fetch_from = x''",
                       static_cast<int>(Kind::layer)));
  for (const Digest& layer : layers) delete_layer(db, layer, 0);
  count += static_cast<std::int64_t>(layers.size());
  count += db.run("DELETE FROM blobs WHERE digest IN (SELECT id FROM volatile WHERE kind = ?)",
                  static_cast<int>(Kind::blob));
  db.run("DELETE FROM volatile");
  db.run("UPDATE meta SET boot = ?", sys::boot_id());
  transaction.commit();
  return count;
}

void delete_chain(Database& db, const Digest& chain, std::int64_t evicted_ns) {
  const auto chains =
      digests(db.query("WITH RECURSIVE above(id) AS (SELECT ? UNION SELECT chains.id FROM chains JOIN above "
                       "ON chains.parent = above.id)"
                       " SELECT id FROM above",
                       chain));
  for (const Digest& id : chains) {
    delete_records(db, id, evicted_ns);
    db.run("DELETE FROM memos WHERE chain = ?", id);
    db.run("DELETE FROM chains WHERE id = ?", id);
  }
}

void delete_layer(Database& db, const Digest& layer, std::int64_t evicted_ns) {
  for (const Digest& chain : digests(db.query("SELECT id FROM chains WHERE layer = ?", layer))) {
    delete_chain(db, chain, evicted_ns);
  }
  db.run("DELETE FROM memos WHERE chain = ?", layer);
  db.run("DELETE FROM packs WHERE layer = ?", layer);
  db.run("DELETE FROM layers WHERE id = ?", layer);
}

void mark_volatile(Database& db, Kind kind, const Digest& id) {
  db.run("INSERT INTO volatile(kind, id) VALUES(?, ?)", static_cast<int>(kind), id);
}

}  // namespace cbuild::cache
