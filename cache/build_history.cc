// SPDX-License-Identifier: Apache-2.0
// The build history: a row a build, and a directory logs/<id> for what its steps printed.
#include "cache/build_history.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

/// A build that runs now has a directory and no row yet.
constexpr std::int64_t kMayBeRunning = std::int64_t{86'400} * 1'000'000'000;

std::optional<UniqueFd> open_logs(Store& store) {
  return sys::try_open_at(store.root_fd(), "logs", O_RDONLY | O_DIRECTORY);
}

void remove_logs(int logs, const std::string& name) noexcept {
  try {
    sys::remove_all_at(logs, name);
  } catch (const Error&) {
    // The next sweep tries again.
  }
}

}  // namespace

void Store::add_build(const BuildSummary& build) {
  impl_->index.write([&](Database& db) {
    db.run("INSERT OR REPLACE INTO builds VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", build.id, build.name, build.status,
           build.dockerfile, build.target, build.started_ns, build.finished_ns, build.steps_total, build.steps_cached,
           build.detail_json);
    db.run(
        "DELETE FROM builds WHERE started_ns < max(?1, ifnull((SELECT started_ns FROM builds ORDER BY"
        " started_ns DESC LIMIT 1 OFFSET ?2), 0))",
        build.started_ns - kKeptBuildsForNs, kKeptBuilds - 1);
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
  const auto removed = store.impl().index.write([&](Database& db) {
    std::int64_t count = 0;
    for (const std::string& id : ids) count += db.run("DELETE FROM builds WHERE id = ?", id);
    return count;
  });
  const auto logs = open_logs(store);
  if (!logs) return static_cast<unsigned>(removed);
  for (const std::string& name : sys::list_dir(logs->get()))
    if (std::find(ids.begin(), ids.end(), name) != ids.end()) remove_logs(logs->get(), name);
  return static_cast<unsigned>(removed);
}

void sweep_builds(Store& store) {
  const auto logs = open_logs(store);
  if (!logs) return;
  const std::int64_t now = sys::now_ns();
  for (const std::string& name : sys::list_dir(logs->get())) {
    const bool known = store.impl().index.read(
        [&](Database& db) { return db.query("SELECT 1 FROM builds WHERE id = ?", name).next(); });
    if (known) continue;
    const auto st = sys::try_stat_at(logs->get(), name);
    if (st && now - std::int64_t{st->st_mtim.tv_sec} * 1'000'000'000 > kMayBeRunning) remove_logs(logs->get(), name);
  }
}

}  // namespace cbuild::cache
