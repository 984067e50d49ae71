// SPDX-License-Identifier: Apache-2.0
// The data that survives a power loss. The program's own syncfs() stands in for the C library's, so that the calls are
// counted and something can happen during one.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>

#include "cache/database/database.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

int sync_calls = 0, index_syncs = 0;  ///< of the file system; of files of the index
std::function<void()> during_sync;
bool sync_fails = false;

struct Syncs {
  Syncs() { reset(); }
  ~Syncs() { reset(); }
  static void reset() {
    sync_calls = index_syncs = 0;
    sync_fails = false;
    during_sync = nullptr;
  }
};

}  // namespace

extern "C" int syncfs(int fd) noexcept {
  ++sync_calls;
  if (const auto work = std::exchange(during_sync, nullptr)) work();
  if (sync_fails) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_syncfs, fd));
}

extern "C" int fdatasync(int fd) {
  ++index_syncs;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace {

std::string db_path(const TempStore& temp) { return temp.root + "/index.db"; }

/// The machine starts again: the index was written by another boot, and files that were not synced have lost their
/// bytes.
void restart(const TempStore& temp, const std::vector<Digest>& lost_blobs) {
  Database(db_path(temp), false).run("UPDATE meta SET boot = ?", std::string_view("another boot"));
  for (const Digest& blob : lost_blobs) {
    const std::string path = cat(temp.root, "/blobs/sha256/", blob.hex());
    const std::string zeros(sys::read_file_at(AT_FDCWD, path, 1u << 20).size(), '\0');
    sys::write_file_at(AT_FDCWD, path, zeros);
  }
}

/// A blob, a layer with its chain and its record, all named after `name`.
struct Published {
  Digest blob, key;
  Chain chain;
};
Published publish(Store& store, const std::string& name, const Digest& parent = {}) {
  Published out;
  out.blob = oci::put_blob(store.blobs(), "blob " + name, "x").digest;
  out.chain = add_file_layer(store, parent, name, name);
  out.key = digest_of(name);
  store.publish(record_of(out.key, out.chain.id));
  return out;
}

bool is_known(const TempStore& temp, const Published& published) {
  Store store(temp.options());
  const bool blob = store.blobs().size(published.blob).has_value(), record = store.find(published.key).has_value();
  CHECK(blob == record);
  return blob && record;
}

}  // namespace

TEST_CASE("one sync makes published rows durable, and none is done for nothing") {
  Syncs syncs;
  TempStore temp;
  Store store(temp.options());
  store.make_durable();
  CHECK(sync_calls == 0);
  const Published first = publish(store, "first");
  CHECK(sync_calls == 0);
  store.make_durable();
  CHECK(sync_calls == 1);
  store.make_durable();
  CHECK(sync_calls == 1);
  restart(temp, {});
  CHECK(is_known(temp, first));
}

TEST_CASE("a new store waits for no disk before its first sync, which makes the index durable too") {
  Syncs syncs;
  TempStore temp;
  Store store(temp.options());
  const Published first = publish(store, "first");
  CHECK(index_syncs == 0);
  store.make_durable();
  CHECK(index_syncs > 0);
  const int before = index_syncs;
  publish(store, "second");
  CHECK(index_syncs > before);  // the log begins again, and has to be told from the one before it
  restart(temp, {});
  CHECK(is_known(temp, first));
}

TEST_CASE("rows published after the last sync are forgotten with the power, blobs too") {
  Syncs syncs;
  TempStore temp;
  Published before, after;
  {
    Store store(temp.options());
    before = publish(store, "before");
    store.make_durable();
    after = publish(store, "after");
  }
  restart(temp, {after.blob});
  CHECK(is_known(temp, before));
  CHECK_FALSE(is_known(temp, after));
}

TEST_CASE("a blob alone is not trusted without a sync either") {
  Syncs syncs;
  TempStore temp;
  Digest blob;
  {
    Store store(temp.options());
    blob = oci::put_blob(store.blobs(), "alone", "x").digest;
  }
  restart(temp, {blob});
  CHECK_FALSE(Store(temp.options()).blobs().size(blob));
}

TEST_CASE("a sync covers rows published before it, not those that others publish meanwhile") {
  Syncs syncs;
  TempStore temp;
  Published before, meanwhile;
  {
    Store store(temp.options()), other(temp.options());
    before = publish(store, "before");
    during_sync = [&] { meanwhile = publish(other, "meanwhile"); };
    store.make_durable();
    REQUIRE_FALSE(meanwhile.key.empty());
  }
  restart(temp, {meanwhile.blob});
  CHECK(is_known(temp, before));
  CHECK_FALSE(is_known(temp, meanwhile));
}

TEST_CASE("one process's sync covers rows that others published before it") {
  Syncs syncs;
  TempStore temp;
  Published others;
  {
    Store store(temp.options()), other(temp.options());
    others = publish(other, "others");
    store.make_durable();
    CHECK(sync_calls == 1);
    other.make_durable();
    CHECK(sync_calls == 1);
  }
  restart(temp, {});
  CHECK(is_known(temp, others));
}

TEST_CASE("the marks go after the sync: killed during it, or when it fails, nothing counts as synced") {
  Syncs syncs;
  TempStore temp;
  Published published;
  {
    Store store(temp.options());
    published = publish(store, "x");
    SUBCASE("killed") {
      CHECK(in_child([&] {
              Store child(temp.options());
              during_sync = [] { ::_exit(7); };
              child.make_durable();
              return 0;
            }) == 7);
    }
    SUBCASE("failed") {
      sync_fails = true;
      CHECK_THROWS_AS(store.make_durable(), Error);
    }
  }
  restart(temp, {published.blob});
  CHECK_FALSE(is_known(temp, published));
}

TEST_CASE("a tree is named as synced only after the sync") {
  Syncs syncs;
  TempStore temp;
  Store store(temp.options());
  const Published published = publish(store, "x");
  const std::string snapshot = cat(temp.root, "/snapshots/", published.chain.layer.hex());
  const auto is_there = [&](const char* name) {
    return sys::try_stat_at(AT_FDCWD, cat(snapshot, "/", name)).has_value();
  };
  CHECK(is_there("meta"));
  bool early = true;
  during_sync = [&] { early = is_there("synced"); };
  store.make_durable();
  CHECK_FALSE(early);
  CHECK(is_there("synced"));
}
