// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cache/database/database.h"

namespace cbuild::cache {

/// index.db of one store. Thread-safe: one connection, one caller at a time. An index that cannot be read is
/// put aside as index.db.broken-<time> and a fresh one is begun, also in the middle of a build; the call that
/// found it is done again. One of an older version is brought to ours, one of a newer version is left alone: then ours
/// is index-v<version>.db next to it.
class Index {
 public:
  /// Opens or makes the index below `root` (absolute). A line about each repair is added to `notes`. A fresh index is
  /// given to `fill`, which takes over whatever the directory itself tells.
  Index(int root_fd, std::string root, std::vector<std::string>& notes, std::function<void(Database&)> fill);

  /// `action(Database&)` outside a transaction: each query sees what is committed when it begins.
  template <typename Action>
  auto read(Action&& action) {
    std::scoped_lock lock(mutex_);
    for (int attempt = 0;; ++attempt) {
      try {
        return action(*db_);
      } catch (const IndexBroken& error) {
        if (attempt == 2) throw;
        replace(error);
      }
    }
  }
  /// `action(Database&)` as one write transaction. Its effects outside of the index (a rename) must be safe to repeat.
  template <typename Action>
  auto write(Action&& action) {
    return read([&](Database& db) {
      Transaction transaction(db);
      if constexpr (std::is_void_v<decltype(action(db))>) {
        action(db);
        transaction.commit();
      } else {
        auto result = action(db);
        transaction.commit();
        return result;
      }
    });
  }

  /// Name of its file below the root.
  std::string name();
  /// Random name of this index, the same until it is replaced: tells leases of another index from our own.
  std::string generation();

 private:
  void use(const std::string& name);
  std::unique_ptr<Database> open_ours();
  bool open_existing();
  void open_or_create();
  void create();
  void replace(const IndexBroken& error);
  void put_aside(const std::string& why);
  ino_t inode_on_disk() const;

  int root_fd_;
  std::string root_, name_, path_;
  std::vector<std::string>& notes_;
  std::function<void(Database&)> fill_;
  std::mutex mutex_;
  std::unique_ptr<Database> db_;
  ino_t inode_ = 0;
  std::string generation_;
};

}  // namespace cbuild::cache
