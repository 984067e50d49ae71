// SPDX-License-Identifier: Apache-2.0
// SQLite for many processes that share one index. Errors are sorted into an index that is broken and can be replaced
// (index.cc), a full disk, missing rights, and the rest. Transactions last microseconds, so a busy index is asked again
// after as many, not after SQLite's 100 ms. A checkpoint waits for the disk and is therefore left to the end of a
// build.
#include "cache/database/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cache {

namespace {

constexpr int kBusyMicroseconds = 60'000'000;

/// SQLite's own handler begins with 1 ms and soon sleeps 100 ms; our transactions last microseconds.
int wait_for_lock(void*, int attempt) {
  constexpr int kMaxSleep = 5'000;
  const int sleep_us = std::min(kMaxSleep, 50 * (attempt + 1));
  if (attempt > kBusyMicroseconds / kMaxSleep) return 0;
  ::usleep(static_cast<useconds_t>(sleep_us));
  return 1;
}

/// Whether there is no room for the file, its log or its shared memory: then a failure to open them says nothing about
/// the file, and SQLite has not kept its errno.
bool is_disk_full(const std::string& file) {
  struct statvfs disk {};
  return ::statvfs(dir_name(file).c_str(), &disk) == 0 && (disk.f_bavail == 0 || disk.f_favail == 0);
}

std::string file_of(sqlite3* handle) {
  const char* file = handle != nullptr ? sqlite3_db_filename(handle, "main") : nullptr;
  return file != nullptr ? file : "";
}

[[noreturn]] void fail(sqlite3* handle, int code) {
  const int sys = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  const std::string text = cat("index: ", handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
  const int extended = handle != nullptr ? sqlite3_extended_errcode(handle) : code;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // a table or column that is not there: the schema page is damaged
      throw IndexBroken(text);
    case SQLITE_FULL:
      throw_errno(ENOSPC, text);
    case SQLITE_CANTOPEN:
      if (is_disk_full(file_of(handle))) throw_errno(ENOSPC, text);
      // No regular file, a link to nowhere, or another process has just put the file aside.
      if (sys == 0 || sys == EISDIR || sys == ELOOP || sys == ENOENT) throw IndexBroken(text);
      throw_errno(sys, text);
    case SQLITE_READONLY:
      if (extended == SQLITE_READONLY_DBMOVED) throw IndexBroken(text);
      throw Error(ErrorCode::denied, text).with_errno(EACCES);
    case SQLITE_IOERR:
      if (sys == ENOSPC || sys == EDQUOT) throw_errno(sys, text);
      if (sys == EFBIG) throw_errno(sys, cat("index: write ", file_of(handle)));
      throw Error(ErrorCode::io, text).with_errno(sys);
    default:
      throw Error(ErrorCode::io, text).with_errno(sys);
  }
}

void check(sqlite3_stmt* statement, int code) {
  if (code != SQLITE_OK) fail(sqlite3_db_handle(statement), code);
}

}  // namespace

Query::~Query() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

bool Query::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  fail(sqlite3_db_handle(statement_), code);
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Query::text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

Digest Query::digest(int column) const {
  Digest digest;
  const void* data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  if (data != nullptr && size == digest.bytes.size()) std::memcpy(digest.bytes.data(), data, size);
  return digest;
}

void Query::bind(int index, std::int64_t value) { check(statement_, sqlite3_bind_int64(statement_, index, value)); }

// Text is stored as a blob too: names on disk need not be UTF-8, and a blob comes back as it was.
void Query::bind(int index, std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();
  check(statement_, sqlite3_bind_blob64(statement_, index, data, text.size(), SQLITE_TRANSIENT));
}

void Query::bind(int index, const Digest& digest) {
  const std::size_t size = digest.empty() ? 0 : digest.bytes.size();
  check(statement_, sqlite3_bind_blob64(statement_, index, digest.bytes.data(), size, SQLITE_TRANSIENT));
}

namespace {

constexpr std::size_t kLongestName = 400;  // SQLite takes 512 bytes, with its suffixes

/// SQLite's own file system, except that it takes names as they are: it would follow the links of one that stands for a
/// long path, and refuse what it finds.
const char* vfs_of_short_names() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs copy = *sqlite3_vfs_find(nullptr);
    copy.zName = "cbuild-short-names";
    copy.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
      if (std::strlen(name) >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
      std::strcpy(out, name);
      return SQLITE_OK;
    };
    return copy;
  }();
  static const bool registered = sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  return registered ? vfs.zName : nullptr;
}

}  // namespace

Database::Database(const std::string& path, bool create) {
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
  std::string name = path;
  const bool is_long = path.size() > kLongestName;
  if (is_long) {
    directory_ = sys::open_at(AT_FDCWD, dir_name(path), O_PATH | O_DIRECTORY);
    name = cat(sys::fd_path(directory_.get()), "/", path.substr(path.rfind('/') + 1));
  }
  const int code = sqlite3_open_v2(name.c_str(), &handle_, flags, is_long ? vfs_of_short_names() : nullptr);
  try {
    if ((code & 0xff) == SQLITE_CANTOPEN && is_disk_full(path)) throw_errno(ENOSPC, cat("index: cannot make ", path));
    if (code != SQLITE_OK) fail(handle_, code);
    sqlite3_busy_handler(handle_, wait_for_lock, nullptr);
    // Closing the last connection would check-point and sync; make_durable() does that once, when there is
    // something to keep.
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_wal_hook(handle_, &Database::on_commit, this);
    script("PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16384");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

// A checkpoint syncs twice, and a step that happens to commit would wait for the disk: in the middle of a build only a
// log of 64 MB is worth that.
int Database::on_commit(void* self, sqlite3* handle, const char*, int pages) {
  constexpr int kMostPages = 16384;
  static_cast<Database*>(self)->log_pages_ = pages;
  if (pages >= kMostPages) sqlite3_wal_checkpoint_v2(handle, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  return SQLITE_OK;
}

// Every start reads the log, and a build that finds everything adds to it without ever coming to make_durable().
Database::~Database() {
  constexpr int kKeptPages = 256;
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  if (handle_ != nullptr && log_pages_ >= kKeptPages) checkpoint();
  sqlite3_close(handle_);
}

sqlite3_stmt* Database::prepare(std::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) return found->second;
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) fail(handle_, code);
  statements_.emplace(sqlite3_sql(statement), statement);
  return statement;
}

void Database::script(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(handle_, code);
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }

void Database::checkpoint() noexcept {
  sqlite3_busy_handler(handle_, nullptr, nullptr);
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code == SQLITE_OK) {
    log_pages_ = 0;
    set_log_space_aside();
  }
  sqlite3_busy_handler(handle_, wait_for_lock, nullptr);
}

// The blocks lie behind the end of the file, where SQLite does not see them, so a removal on a full disk can still be
// recorded.
void Database::set_log_space_aside() noexcept {
  constexpr off_t kBytes = 128 << 10;
  const char* name = sqlite3_filename_wal(sqlite3_db_filename(handle_, "main"));
  const UniqueFd log(::open(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (log) (void)::fallocate(log.get(), FALLOC_FL_KEEP_SIZE, 0, kBytes);
}

void Database::reuse_log() noexcept {
  sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    db_.run("ROLLBACK");
  } catch (const Error&) {
    // SQLite has rolled back by itself after the error that brought us here.
  }
}

void Transaction::commit() {
  db_.run("COMMIT");
  open_ = false;
}

}  // namespace cbuild::cache
