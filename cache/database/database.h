// SPDX-License-Identifier: Apache-2.0
// The few parts of SQLite that the index needs (index.h): statements are prepared once for each text and kept,
// arguments are bound by their C++ type, and a transaction that is not committed rolls back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cbuild::cache {

/// The index cannot be read: damaged, cut off, or not an index at all. Handled by Index, never seen outside
/// the module.
class IndexBroken : public Error {
 public:
  explicit IndexBroken(const std::string& message) : Error(ErrorCode::corrupt, message) {}
};

/// A prepared statement that is being stepped; reset when it goes out of scope. Borrowed from its Database,
/// which keeps it for the next call with the same text.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  Query(Query&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
  Query& operator=(Query&&) = delete;
  ~Query();

  /// Moves to the next row; false at the end.
  bool next();

  std::int64_t integer(int column) const;
  bool boolean(int column) const { return integer(column) != 0; }
  std::string text(int column) const;
  Digest digest(int column) const;  ///< the empty digest for anything but 32 bytes

  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, const Digest& digest);  ///< the empty digest is stored as an empty blob

 private:
  sqlite3_stmt* statement_;
};

/// One SQLite connection. Not thread-safe. Its end cuts a long write-ahead log that it added to. Errors: IndexBroken,
/// Error{no_space}, Error{denied}, Error{io}.
class Database {
 public:
  /// With `create` false a missing file is IndexBroken.
  Database(const std::string& path, bool create);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// A row set. `sql` is prepared once. A query may not be used twice at the same time.
  template <typename... Args>
  Query query(std::string_view sql, const Args&... args) {
    Query query(prepare(sql));
    bind_all(query, 1, args...);
    return query;
  }
  /// Carries out a statement to its end. Returns the number of rows it changed.
  template <typename... Args>
  std::int64_t run(std::string_view sql, const Args&... args) {
    Query q = query(sql, args...);
    while (q.next()) {
    }
    return changes();
  }
  /// Several statements, not kept.
  void script(const char* sql);

  std::int64_t changes() const;
  /// Moves what the write-ahead log holds into the main file and cuts the log, but sets a little of its space aside;
  /// gives up at once if others are reading.
  void checkpoint() noexcept;
  /// The same, but the log keeps its space, which the next transactions then have even on a full disk.
  void reuse_log() noexcept;

 private:
  static int on_commit(void* self, sqlite3* handle, const char* name, int pages);
  void set_log_space_aside() noexcept;
  sqlite3_stmt* prepare(std::string_view sql);
  static void bind_all(Query&, int) {}
  template <typename First, typename... Rest>
  static void bind_all(Query& query, int index, const First& first, const Rest&... rest) {
    if constexpr (std::is_integral_v<First>) {
      query.bind(index, static_cast<std::int64_t>(first));
    } else {
      query.bind(index, first);
    }
    bind_all(query, index + 1, rest...);
  }

  UniqueFd directory_;  ///< of a file with a long path, which is opened through it
  sqlite3* handle_ = nullptr;
  int log_pages_ = 0;  ///< in the write-ahead log after our last commit
  std::unordered_map<std::string_view, sqlite3_stmt*> statements_;
};

/// BEGIN IMMEDIATE, rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& db) : db_(db) { db_.run("BEGIN IMMEDIATE"); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  Database& db_;
  bool open_ = true;
};

}  // namespace cbuild::cache
