// SPDX-License-Identifier: Apache-2.0
// Finds, makes and replaces the file of the index. Opening one that is in use costs an open, an integer and a row.
// Everything else happens under one lock between processes: creating, migrating an older version, putting a broken
// index aside. Whoever had the broken one open sees by its inode that another process has replaced it already. After a
// reboot, results that were never synced are forgotten.
#include "cache/database/index.h"

#include <unistd.h>

#include "base/files.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/database/schema.h"

namespace cbuild::cache {

namespace {

constexpr char kName[] = "index.db";

std::string own_name() { return cat("index-v", kSchemaVersion, ".db"); }

}  // namespace

Index::Index(int root_fd, std::string root, std::vector<std::string>& notes, std::function<void(Database&)> fill)
    : root_fd_(root_fd), root_(std::move(root)), notes_(notes), fill_(std::move(fill)) {
  try {
    if (open_existing()) return;
  } catch (const IndexBroken&) {
    db_.reset();
  }
  open_or_create();
}

std::string Index::name() {
  std::scoped_lock lock(mutex_);
  return name_;
}

std::string Index::generation() {
  std::scoped_lock lock(mutex_);
  return generation_;
}

void Index::use(const std::string& name) {
  name_ = name;
  path_ = cat(root_, "/", name);
  inode_ = inode_on_disk();
}

/// The index of our version or of an older one; null if there is none.
std::unique_ptr<Database> Index::open_ours() {
  use(kName);
  if (inode_ == 0) {
    use(own_name());  // of the time when there was a newer one
    if (inode_ != 0) return std::make_unique<Database>(path_, false);
    use(kName);
    return nullptr;
  }
  auto db = std::make_unique<Database>(path_, false);
  if (const int version = schema_version(*db); version <= kSchemaVersion || version > kMaxSchemaVersion) return db;
  db.reset();
  use(own_name());
  return inode_ == 0 ? nullptr : std::make_unique<Database>(path_, false);
}

// The whole cost of opening a store that is in use: one open, one integer, one row.
bool Index::open_existing() {
  auto db = open_ours();
  if (!db) return false;
  const int version = schema_version(*db);
  if (version <= 0 || version > kSchemaVersion) return false;
  if (version < kSchemaVersion) migrate_schema(*db);
  bool same_boot = false;
  {
    Query query = db->query("SELECT boot, generation FROM meta");
    if (!query.next()) throw IndexBroken("index: no meta row");
    same_boot = query.text(0) == sys::boot_id();
    generation_ = query.text(1);
  }
  if (!same_boot) {
    const std::int64_t forgotten = forget_unsynced(*db);
    if (forgotten > 0) {
      notes_.push_back(cat("store: ", forgotten,
                           " results from before the last start of this machine were never synced; forgotten"));
    }
  }
  db_ = std::move(db);
  return true;
}

void Index::open_or_create() {
  sys::mkdir_all(root_fd_, "locks", 0700);
  const auto lock = FileLock::wait(root_fd_, "locks/index", FileLock::Mode::exclusive);
  for (int attempt = 0;; ++attempt) {
    try {
      if (open_existing()) return;
      create();
      return;
    } catch (const IndexBroken& error) {
      db_.reset();
      if (attempt == 2) throw;
      put_aside(error.message());
    }
  }
}

void Index::create() {
  if (inode_on_disk() == 0) {
    // A log of a file that is gone would be played into the new one.
    for (const char* suffix : {"-wal", "-shm"}) ::unlinkat(root_fd_, cat(name_, suffix).c_str(), 0);
  }
  generation_ = random_hex();
  db_ = std::make_unique<Database>(path_, true);
  if (const int version = schema_version(*db_); version != 0) {
    throw IndexBroken(cat("index has format ", version, ", this program writes ", kSchemaVersion));
  }
  create_schema(*db_, generation_);
  if (name_ != kName)
    notes_.push_back(cat("store: ", kName, " is of a newer version of cbuild; this version begins its own, ", name_));
  if (fill_) fill_(*db_);
  inode_ = inode_on_disk();
}

void Index::replace(const IndexBroken& error) {
  db_.reset();
  const ino_t seen = inode_;
  {
    const auto lock = FileLock::wait(root_fd_, "locks/index", FileLock::Mode::exclusive);
    if (inode_on_disk() == seen) put_aside(error.message());
  }
  try {
    if (open_existing()) return;
  } catch (const IndexBroken&) {
    db_.reset();
  }
  open_or_create();
}

void Index::put_aside(const std::string& why) {
  const std::string aside = cat(name_, ".broken-", sys::now_ns() / 1'000'000'000);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    ::renameat(root_fd_, cat(name_, suffix).c_str(), root_fd_, (aside + suffix).c_str());
  }
  notes_.push_back(cat("store: ", why, "; put aside as ", aside, ", starting a fresh index"));
}

ino_t Index::inode_on_disk() const {
  const auto st = sys::try_stat_at(root_fd_, name_);
  return st ? st->st_ino : 0;
}

}  // namespace cbuild::cache
