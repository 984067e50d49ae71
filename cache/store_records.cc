// SPDX-License-Identifier: Apache-2.0
// Records: the result of a key; memos; why a key is gone.
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/codec.h"
#include "cache/record_search.h"
#include "cache/store.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

constexpr char kColumns[] =
    "r.key, r.definition_key, r.chain, r.created_ns, r.duration_ns, r.last_used_ns, r.step_name, r.parts";

Record read_record(const Query& query) {
  Record record;
  record.key = query.digest(0);
  record.definition_key = query.digest(1);
  record.chain = query.digest(2);
  record.created_ns = query.integer(3);
  record.duration_ns = query.integer(4);
  record.last_used_ns = query.integer(5);
  record.step_name = query.text(6);
  record.parts = decode_parts(query.text(7));
  return record;
}

std::vector<Record> read_records(Query query) {
  std::vector<Record> out;
  while (query.next()) out.push_back(read_record(query));
  return out;
}

/// Before `key` finds `record`: an older record with another result goes on being found by its other keys.
void release_key(Database& db, const Digest& key, const Record& record) {
  std::int64_t old = 0;
  {
    Query query = db.query("SELECT id FROM records WHERE key = ? AND chain <> ?", key, record.chain);
    if (!query.next()) return;
    old = query.integer(0);
  }
  {
    Query others =
        db.query("SELECT 1 FROM keys WHERE record = ? AND key NOT IN (?, ?)", old, key, record.definition_key);
    if (!others.next()) return;
  }
  db.run("DELETE FROM keys WHERE key = ?", key);
  db.run("UPDATE records SET key = ? WHERE id = ?", random_digest(), old);  // a name that nobody asks for
}

}  // namespace

// A chain's row goes when one of its layers is lost for good, so the row is proof enough and no layer is
// looked at.
std::optional<Record> Store::find(const Digest& key) {
  static const std::string kSql = cat("SELECT ", kColumns,
                                      " FROM keys k JOIN records r ON r.id = k.record"
                                      " LEFT JOIN chains c ON c.id = r.chain"
                                      " WHERE k.key = ? AND (r.chain = x'' OR c.id IS NOT NULL)");
  auto record = impl_->index.read([&](Database& db) -> std::optional<Record> {
    Query query = db.query(kSql, key);
    if (!query.next()) return std::nullopt;
    return read_record(query);
  });
  if (!record) return std::nullopt;
  if (!record->chain.empty()) {
    if (!impl_->hold(Pinned::chain, record->chain)) return std::nullopt;
    impl_->touch_chain(record->chain, record->last_used_ns);
  }
  return record;
}

void Store::publish(const Record& record) {
  const Digest& key = record.key.empty() ? record.definition_key : record.key;
  const std::int64_t now = sys::now_ns();
  const std::string parts = encode_parts(record.parts);
  impl_->index.write([&](Database& db) {
    impl_->restore_chain(db, record.chain);
    release_key(db, key, record);
    std::int64_t id = 0;
    {
      Query query = db.query(
          "INSERT INTO records(key, definition_key, chain, created_ns, duration_ns, last_used_ns, step_name, "
          "parts)"
          " VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET definition_key = "
          "excluded.definition_key,"
          " chain = excluded.chain, created_ns = excluded.created_ns, duration_ns = excluded.duration_ns,"
          " last_used_ns = excluded.last_used_ns, step_name = excluded.step_name, parts = CASE WHEN "
          "excluded.parts = x'' THEN parts ELSE excluded.parts END RETURNING id",
          key, record.definition_key, record.chain, record.created_ns != 0 ? record.created_ns : now,
          record.duration_ns, now, record.step_name, parts);
      if (query.next()) id = query.integer(0);
      while (query.next()) {
      }
    }
    if (id == 0) throw IndexBroken("index: the table of records is damaged");  // its text: rows are not numbered
    db.run("INSERT OR REPLACE INTO keys(key, record) VALUES(?, ?)", key, id);
    if (!record.definition_key.empty() && record.definition_key != key) {
      db.run("INSERT OR REPLACE INTO keys(key, record) VALUES(?, ?)", record.definition_key, id);
    }
    db.run("DELETE FROM evictions WHERE key IN (?, ?)", key, record.definition_key);
  });
}

std::vector<Record> newest_of_step(Store& store, const std::string& step_name, unsigned limit) {
  static const std::string kSql =
      cat("SELECT ", kColumns, " FROM records r WHERE r.step_name = ? ORDER BY r.created_ns DESC LIMIT ?");
  return store.impl().index.read([&](Database& db) { return read_records(db.query(kSql, step_name, limit)); });
}

std::vector<Record> newest_on(Store& store, const Digest& parent, unsigned limit) {
  static const std::string kSql =
      cat("SELECT ", kColumns,
          " FROM chains c JOIN records r ON r.chain = c.id WHERE c.parent = ? ORDER BY r.created_ns DESC LIMIT ?");
  return store.impl().index.read([&](Database& db) { return read_records(db.query(kSql, parent, limit)); });
}

std::optional<Record> peek(Store& store, const Digest& key) {
  static const std::string kSql =
      cat("SELECT ", kColumns, " FROM keys k JOIN records r ON r.id = k.record WHERE k.key = ?");
  return store.impl().index.read([&](Database& db) -> std::optional<Record> {
    Query query = db.query(kSql, key);
    if (!query.next()) return std::nullopt;
    return read_record(query);
  });
}

std::optional<std::int64_t> Store::evicted_at_ns(const Digest& key) {
  return impl_->index.read([&](Database& db) -> std::optional<std::int64_t> {
    Query query = db.query("SELECT at_ns FROM evictions WHERE key = ?", key);
    if (!query.next()) return std::nullopt;
    return query.integer(0);
  });
}

std::optional<Digest> Store::memo(const Digest& chain, const Digest& selector) {
  return impl_->index.read([&](Database& db) -> std::optional<Digest> {
    Query query = db.query("SELECT digest FROM memos WHERE chain = ? AND selector = ?", chain, selector);
    if (!query.next()) return std::nullopt;
    return query.digest(0);
  });
}

void Store::set_memo(const Digest& chain, const Digest& selector, const Digest& digest) {
  impl_->index.write(
      [&](Database& db) { db.run("INSERT OR REPLACE INTO memos VALUES(?, ?, ?)", chain, selector, digest); });
}

}  // namespace cbuild::cache
