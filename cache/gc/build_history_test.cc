// SPDX-License-Identifier: Apache-2.0
#include "cache/build_history.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "cache/database/database.h"
#include "cache/gc/gc.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

constexpr std::int64_t kDay = std::int64_t{86'400} * 1'000'000'000;

void log_text(Store& store, const std::string& build, std::size_t kib) {
  sys::mkdir_all(store.root_fd(), cat("logs/", build), 0700);
  sys::write_file_at(store.root_fd(), cat("logs/", build, "/1.log"), std::string(kib << 10, 'x'));
}

void add_build(Store& store, const std::string& id) {
  const std::int64_t now = sys::now_ns();
  store.add_build({id, "name", "ok", "", "", now, now, 0, 0, ""});
}

void make_old(Store& store, const std::string& build) {
  const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
  REQUIRE(::utimensat(store.root_fd(), cat("logs/", build).c_str(), old, 0) == 0);
}

std::vector<std::string> logs_of(Store& store) {
  return sys::list_dir(sys::open_at(store.root_fd(), "logs", O_RDONLY | O_DIRECTORY).get());
}

const Usage::Item* find_log(const Usage& usage, const std::string& id) {
  const auto found = std::find_if(usage.items.begin(), usage.items.end(),
                                  [&](const auto& item) { return item.kind == "log" && item.id == id; });
  return found == usage.items.end() ? nullptr : &*found;
}

std::vector<std::string> names(std::initializer_list<std::string> list) { return list; }

}  // namespace

TEST_CASE("the logs of a build that was killed go with the next prune, those of a live one and of the history stay") {
  TempStore temp;
  Store store(temp.options());
  CHECK(in_child([&] {
          Store other(temp.options());
          BuildLogs killed(other, "killed");
          sys::write_file_at(killed.directory(), "1.log", "text");
          ::raise(SIGKILL);
          return 0;
        }) == 128 + SIGKILL);
  BuildLogs live(store, "live");
  sys::write_file_at(live.directory(), "1.log", "text");
  log_text(store, "known", 4);
  add_build(store, "known");
  const Usage usage = disk_usage(store);
  REQUIRE(find_log(usage, "killed"));
  CHECK(find_log(usage, "killed")->is_reclaimable());
  CHECK(find_log(usage, "live")->in_use);
  CHECK_FALSE(find_log(usage, "known")->is_reclaimable());
  CHECK(find_log(usage, "known")->bytes >= 4096);
  SUBCASE("prune") { CHECK(prune(store, {}).size() == 1); }
  SUBCASE("the end of a build") { clean_up_builds(store); }
  CHECK(logs_of(store) == names({"known", "live"}));
}

TEST_CASE("the rules of gc take logs by age and by size, and the history keeps its entries") {
  TempStore temp;
  Store store(temp.options());
  for (const char* id : {"new", "old"}) {
    log_text(store, id, 64);
    add_build(store, id);
  }
  make_old(store, "old");
  PruneOptions options;
  CHECK(prune(store, options).empty());
  SUBCASE("age") { options.unused_for_ns = 60 * kDay; }
  SUBCASE("size") { options.max_used_bytes = 100 << 10; }
  CHECK(prune(store, options).size() == 1);
  CHECK(logs_of(store) == names({"new"}));
  CHECK(store.builds(10).size() == 2);
}

TEST_CASE("logs count when it is decided whether gc is due") {
  TempStore temp;
  Store store(temp.options());
  collect_if_due(store);
  const timespec hour_ago[2] = {{::time(nullptr) - 3600, 0}, {::time(nullptr) - 3600, 0}};
  REQUIRE(::utimensat(store.root_fd(), "locks/gc", hour_ago, 0) == 0);
  const bool due_without = gc_is_due(store);
  const std::uint64_t cap = *default_limits(store)[2].max_used_bytes;
  sys::mkdir_all(store.root_fd(), "logs/huge", 0700);
  log_text(store, "huge", 4);
  add_build(store, "huge");
  if (due_without) return;  // this disk is short
  CHECK_FALSE(gc_is_due(store));
  Database(temp.root + "/index.db", false).run("UPDATE logs SET bytes = ?", cap + 1);
  CHECK(gc_is_due(store));
}

TEST_CASE("removing builds removes their logs") {
  TempStore temp;
  Store store(temp.options());
  for (const char* id : {"a", "b"}) {
    log_text(store, id, 4);
    add_build(store, id);
  }
  CHECK(remove_builds(store, {"a"}) == 1);
  CHECK(logs_of(store) == names({"b"}));
  CHECK(store.builds(10).size() == 1);
}

TEST_CASE("the write-ahead log of the index stays short over builds that only add to the history") {
  TempStore temp;
  const std::string log = cat(temp.options().root, "/index.db-wal");
  std::int64_t largest = 0;
  for (int i = 0; i < 200; ++i) {
    {
      Store store(temp.options());
      const std::int64_t now = sys::now_ns();
      store.add_build({cat("build", i), "name", "ok", "", "", now, now, 0, 0, std::string(8000, 'd')});
    }
    const auto st = sys::try_stat_at(AT_FDCWD, log);
    if (st) largest = std::max<std::int64_t>(largest, st->st_size);
  }
  CHECK(largest > 0);
  CHECK(largest < (std::int64_t{3} << 19));
  Store store(temp.options());
  REQUIRE(store.builds(1).size() == 1);
  CHECK(store.builds(1)[0].id == "build199");
}
