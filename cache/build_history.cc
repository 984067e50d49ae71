// SPDX-License-Identifier: Apache-2.0
// The build history: a row a build, and a directory logs/<id> for the output of its steps.
#include "cache/build_history.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/other_indexes.h"
#include "cache/reserve.h"
#include "cache/store_impl.h"
#include "cache/tree_blocks.h"

namespace cbuild::cache {

namespace {

constexpr char kLogs[] = "logs";

std::optional<UniqueFd> open_logs(Store& store) {
  return sys::try_open_at(store.root_fd(), kLogs, O_RDONLY | O_DIRECTORY);
}

void remove_logs(int logs, const std::string& name) noexcept {
  try {
    sys::remove_all_at(logs, name);
  } catch (const Error&) {
    // The next clean-up tries again.
  }
}

}  // namespace

BuildLogs::BuildLogs(const Store& store, const std::string& id)
    : root_fd_(store.root_fd()), name_(cat(kLogs, "/", id)), path_(cat(store.root(), "/", name_)) {}

// A clean-up may take the directory for that of a dead build between its creation and the lock; then it is made again.
int BuildLogs::directory() {
  const std::scoped_lock lock(mutex_);
  while (!directory_) {
    sys::mkdir_all(root_fd_, name_, 0700);
    auto opened = sys::try_open_at(root_fd_, name_, O_RDONLY | O_DIRECTORY);
    if (!opened || ::flock(opened->get(), LOCK_SH) != 0 || sys::stat_fd(opened->get()).st_nlink == 0) continue;
    directory_ = std::move(*opened);
  }
  return directory_.get();
}

bool is_in_history(Store& store, const std::string& id) {
  return store.impl().index.read(
      [&](Database& db) { return db.query("SELECT 1 FROM builds WHERE id = ?", id).next(); });
}

std::optional<UniqueFd> lock_dead_logs(int logs, const std::string& id) {
  auto directory = sys::try_open_at(logs, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory) return UniqueFd();
  if (::flock(directory->get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return directory;
}

bool remove_build_logs(Store& store, const std::string& id) {
  const auto logs = open_logs(store);
  if (!logs) return false;
  const auto lock = lock_dead_logs(logs->get(), id);
  if (!lock) return false;
  remove_logs(logs->get(), id);
  store.impl().index.write([&](Database& db) { db.run("DELETE FROM logs WHERE build = ?", id); });
  return true;
}

void Store::add_build(const BuildSummary& build) {
  const std::uint64_t log_bytes = tree_blocks(root_fd(), cat(kLogs, "/", build.id));
  impl_->index.write([&](Database& db) {
    db.run("INSERT OR REPLACE INTO builds VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", build.id, build.name, build.status,
           build.dockerfile, build.target, build.started_ns, build.finished_ns, build.steps_total, build.steps_cached,
           build.detail_json);
    if (log_bytes > 0) db.run("INSERT OR REPLACE INTO logs VALUES(?, ?)", build.id, log_bytes);
    db.run(
        "DELETE FROM builds WHERE started_ns < max(?1, ifnull((SELECT started_ns FROM builds ORDER BY"
        " started_ns DESC LIMIT 1 OFFSET ?2), 0))",
        build.started_ns - kKeptBuildsForNs, kKeptBuilds - 1);
    db.run("DELETE FROM logs WHERE build NOT IN (SELECT id FROM builds)");
  });
}

std::vector<Store::BuildSummary> Store::builds(unsigned limit) {
  return impl_->index.read([&](Database& db) {
    std::vector<BuildSummary> out;
    Query query = db.query(
        "SELECT id, name, status, dockerfile, target, started_ns, finished_ns, steps_total, steps_cached, "
        "detail"
        " FROM builds ORDER BY started_ns DESC LIMIT ?",
        limit);
    while (query.next()) {
      BuildSummary build{query.text(0), query.text(1), query.text(2), query.text(3), query.text(4), 0, 0, 0, 0, {}};
      build.started_ns = query.integer(5);
      build.finished_ns = query.integer(6);
      build.steps_total = static_cast<unsigned>(query.integer(7));
      build.steps_cached = static_cast<unsigned>(query.integer(8));
      build.detail_json = query.text(9);
      out.push_back(std::move(build));
    }
    return out;
  });
}

unsigned remove_builds(Store& store, const std::vector<std::string>& ids) {
  if (const auto logs = open_logs(store)) {
    for (const std::string& name : sys::list_dir(logs->get()))
      if (std::find(ids.begin(), ids.end(), name) != ids.end()) remove_logs(logs->get(), name);
  }
  std::int64_t count = 0;
  with_room(store.impl(), [&] {
    count = store.impl().index.write([&](Database& db) {
      std::int64_t rows = 0;
      for (const std::string& id : ids) {
        rows += db.run("DELETE FROM builds WHERE id = ?", id);
        db.run("DELETE FROM logs WHERE build = ?", id);
      }
      return rows;
    });
  });
  return static_cast<unsigned>(count);
}

void clean_up_builds(Store& store) {
  const auto logs = open_logs(store);
  if (!logs) return;
  OtherClaims others(store.impl());
  for (const std::string& name : sys::list_dir(logs->get())) {
    const auto lock = lock_dead_logs(logs->get(), name);
    if (!lock) continue;
    // Looked up after the lock was seen free: a build is in the history before it lets go.
    if (!is_in_history(store, name) && !others.build(name)) remove_logs(logs->get(), name);
  }
}

}  // namespace cbuild::cache
