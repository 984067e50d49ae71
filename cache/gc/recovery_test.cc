// SPDX-License-Identifier: Apache-2.0
// Stores that were killed, damaged or shared.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "base/test_wait.h"
#include "cache/database/database.h"
#include "cache/gc/gc.h"
#include "cache/step_layer.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

std::string index_path(const std::string& root) { return root + "/index.db"; }

/// Twenty records on a chain of twenty layers, synced and moved into the main file.
std::vector<Digest> fill(const TempStore& temp) {
  Store store(temp.options());
  std::vector<Digest> keys;
  Digest chain;
  for (int i = 0; i < 20; ++i) {
    chain = add_file_layer(store, chain, cat("f", i), std::to_string(i)).id;
    keys.push_back(digest_of(cat("key", i)));
    store.publish(record_of(keys.back(), chain));
  }
  store.make_durable();
  return keys;
}

/// A store after damage must open, must not give a record whose content is not there, and must work on.
void check_usable(const TempStore& temp, const std::vector<Digest>& keys) {
  Store store(temp.options());
  for (const Digest& key : keys) {
    const auto found = store.find(key);
    if (!found) continue;
    try {
      for (const Digest& layer : store.chain_layers(found->chain)) {
        const UniqueFd tree = store.open_tree(layer);
        CHECK(sys::list_dir(tree.get()).size() == 1);
      }
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::missing_content);  // a miss that was found late
    }
  }
  const Chain chain = add_file_layer(store, {}, "new", "new");
  store.publish(record_of(digest_of("new"), chain.id));
  CHECK(store.find(digest_of("new")));
}

std::string slurp(const std::string& path) { return sys::read_file_at(AT_FDCWD, path, 64u << 20); }

void overwrite(const std::string& path, const std::string& data) {
  for (const char* suffix : {"-wal", "-shm"}) ::unlink((path + suffix).c_str());
  sys::write_file_at(AT_FDCWD, path, data);
}

}  // namespace

TEST_CASE("an index that is cut off anywhere is a miss, not a refusal") {
  TempStore temp;
  const auto keys = fill(temp);
  const std::string whole = slurp(index_path(temp.root));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, std::size_t{4096}, whole.size() / 2, whole.size() - 100}) {
    CAPTURE(size);
    overwrite(index_path(temp.root), whole.substr(0, size));
    check_usable(temp, keys);
  }
}

TEST_CASE("flipped bytes in the index") {
  TempStore temp;
  const auto keys = fill(temp);
  const std::string whole = slurp(index_path(temp.root));
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    std::string damaged = whole;
    for (int i = 0; i < 1 + round * 4; ++i)
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << (random() % 8));
    overwrite(index_path(temp.root), damaged);
    check_usable(temp, keys);
  }
}

TEST_CASE("an index that breaks after the tree was moved in takes the tree all the same") {
  TempStore temp;
  fill(temp);
  const std::string path = index_path(temp.root);
  std::int64_t page = 0, page_size = 0;
  {
    Database db(path, false);
    Query size = db.query("PRAGMA page_size");
    REQUIRE(size.next());
    page_size = size.integer(0);
    // The last table that the transaction writes to.
    Query root = db.query("SELECT rootpage FROM sqlite_master WHERE name = 'volatile'");
    REQUIRE(root.next());
    page = root.integer(0);
  }
  std::string damaged = slurp(path);
  damaged.replace(static_cast<std::size_t>((page - 1) * page_size), static_cast<std::size_t>(page_size),
                  static_cast<std::size_t>(page_size), '\xee');
  overwrite(path, damaged);

  Store store(temp.options());
  REQUIRE(store.notes().empty());  // not seen yet
  Chain chain;
  SUBCASE("a layer") { chain = add_file_layer(store, {}, "new", "new"); }
  SUBCASE("a layer and its chain") {
    Layer layer;
    layer.id = random_layer_id();
    Staging staging = store.stage("");
    sys::write_file_at(staging.tree_fd(), "new", "new");
    chain = add_tree_on(store, {}, layer, std::move(staging), {});
  }
  CHECK(store.notes().size() == 1);
  CHECK(sys::list_dir(store.open_tree(chain.layer).get()) == std::vector<std::string>{"new"});
}

TEST_CASE("a chain that stands on something else than its id says is forgotten") {
  TempStore temp;
  Chain top, below;
  {
    Store store(temp.options());
    below = add_file_layer(store, {}, "below", "below");
    top = add_file_layer(store, below.id, "top", "top");
    store.publish(record_of(digest_of("key"), top.id));
  }
  {
    Database db(index_path(temp.root), false);
    SUBCASE("another layer") { db.run("UPDATE chains SET layer = ? WHERE id = ?", below.layer, top.id); }
    SUBCASE("a parent that does not exist") {
      db.run("UPDATE chains SET parent = ? WHERE id = ?", digest_of("nothing"), top.id);
    }
    SUBCASE("a damaged chain below") { db.run("UPDATE chains SET layer = ? WHERE id = ?", top.layer, below.id); }
  }
  Store store(temp.options());
  CHECK(finds_missing_content([&] { store.chain_layers(top.id); }));
  CHECK_FALSE(store.find(digest_of("key")));
  const Chain again = store.extend(store.extend({}, below.layer, {}).id, top.layer, {});
  CHECK(again.id == top.id);
  CHECK(store.chain_layers(top.id) == std::vector{below.layer, top.layer});
}

TEST_CASE("a file that is not an index is put aside, with a note") {
  TempStore temp;
  fill(temp);
  SUBCASE("garbage") { overwrite(index_path(temp.root), std::string(8192, 'x')); }
  SUBCASE("another format") {
    std::string data = slurp(index_path(temp.root));
    data[60] = 77;  // user_version, high byte: no version counts as far as that
    overwrite(index_path(temp.root), data);
  }
  SUBCASE("a directory") {
    overwrite(index_path(temp.root), "");
    ::unlink(index_path(temp.root).c_str());
    ::mkdir(index_path(temp.root).c_str(), 0755);
  }
  {
    Store store(temp.options());
    REQUIRE(store.notes().size() == 1);
    CHECK(store.notes()[0].find("index.db.broken-") != std::string::npos);
  }
  const auto names = sys::list_dir(sys::open_at(AT_FDCWD, temp.root, O_RDONLY | O_DIRECTORY).get());
  CHECK(std::any_of(names.begin(), names.end(),
                    [](const std::string& name) { return name.starts_with("index.db.broken-"); }));
  CHECK(Store(temp.options()).notes().empty());
}

TEST_CASE("an index that breaks while it is open is replaced") {
  TempStore temp;
  const auto keys = fill(temp);
  Store store(temp.options());
  const UniqueFd file = sys::open_at(AT_FDCWD, index_path(temp.root), O_WRONLY);
  const auto size = static_cast<std::size_t>(sys::stat_fd(file.get()).st_size);
  sys::pwrite_all(file.get(), std::string(size, '\x5a'), 0);
  for (const Digest& key : keys) store.find(key);
  const Chain chain = add_file_layer(store, {}, "x", "x");
  store.publish(record_of(digest_of("after"), chain.id));
  CHECK(store.find(digest_of("after")));
  CHECK(Store(temp.options()).find(digest_of("after")));
}

TEST_CASE("a fresh index takes over the trees of base layers that it can trust") {
  TempStore temp;
  Layer base;
  base.id = base.diff_id = digest_of("diff");
  base.fetch_from = "docker-image://x";
  base.blob = oci::Descriptor{};
  base.blob->digest = digest_of("blob");
  const auto lose_index = [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((index_path(temp.root) + suffix).c_str());
  };
  {
    Store store(temp.options());
    Staging staging = store.stage("x");
    write_file(staging.tree_fd(), "f", "content");
    store.add_tree(base, std::move(staging));
  }
  lose_index();
  {
    Store store(temp.options());
    CHECK_FALSE(store.layer(base.id));
    store.add_lazy_layer(base);
    CHECK(store.layer(base.id)->has_tree);
    CHECK(sys::read_file_at(store.open_tree(base.id).get(), "f", 100) == "content");
    store.make_durable();
  }
  const std::string snapshot = cat(temp.root, "/snapshots/", base.id.hex()), meta = snapshot + "/synced";
  std::string text = slurp(meta);
  text[5] = text[5] == 'z' ? 'y' : 'z';
  sys::write_file_at(AT_FDCWD, meta, text);
  const auto is_trusted = [&] {
    lose_index();
    Store store(temp.options());
    store.add_lazy_layer(base);
    return store.layer(base.id)->has_tree;
  };
  CHECK(is_trusted());
  sys::rename_at(AT_FDCWD, meta, AT_FDCWD, snapshot + "/meta");  // from another boot and never synced
  CHECK_FALSE(is_trusted());
}

TEST_CASE("after a reboot, rows that were never synced are forgotten, synced ones are not") {
  TempStore temp;
  Chain synced, unsynced;
  {
    Store store(temp.options());
    synced = add_file_layer(store, {}, "a", "1");
    store.publish(record_of(digest_of("synced"), synced.id));
    oci::put_blob(store.blobs(), "synced blob", "x");
    store.make_durable();
    unsynced = add_file_layer(store, synced.id, "b", "2");
    store.publish(record_of(digest_of("unsynced"), unsynced.id));
    oci::put_blob(store.blobs(), "unsynced blob", "x");
  }
  // The index says which boot it is of; the machine "restarts" by our changing that.
  std::string text = slurp(index_path(temp.root) + "-wal"), data = slurp(index_path(temp.root));
  const std::string& boot = sys::boot_id();
  std::string other = boot;
  other[0] = other[0] == '0' ? '1' : '0';
  REQUIRE(data.find(boot) != std::string::npos);
  CHECK(text.find(boot) == std::string::npos);
  sys::pwrite_all(sys::open_at(AT_FDCWD, index_path(temp.root), O_WRONLY).get(), other,
                  static_cast<off_t>(data.find(boot)));
  {
    Store store(temp.options());
    CHECK(store.notes().size() == 1);
    CHECK(store.find(digest_of("synced")));
    CHECK_FALSE(store.find(digest_of("unsynced")));
    CHECK_FALSE(store.chain(unsynced.id));
    // The blob's file survived whole: it is taken in again after it was verified.
    CHECK(store.blobs().size(sha256("unsynced blob")));
    CHECK(store.blobs().size(sha256("synced blob")));
  }
  CHECK(Store(temp.options()).notes().empty());
}

TEST_CASE("killed at any moment of publishing, the store is whole") {
  TempStore temp;
  { Store store(temp.options()); }
  std::mt19937 random(11);
  for (int round = 0; round < 25; ++round) {
    const pid_t parent = ::getpid(), pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      try {
        Store store(temp.options());
        Digest chain;
        for (int i = 0;; ++i) {
          chain = add_file_layer(store, i % 10 == 0 ? Digest{} : chain, "f", cat(round, ' ', i)).id;
          store.publish(record_of(digest_of(cat(round, ' ', i)), chain));
          oci::put_blob(store.blobs(), cat("blob", round, ' ', i), "x");
        }
      } catch (...) {
      }
      ::_exit(1);
    }
    const ScopeExit end([pid] {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    });
    // No fixed moment: the parent works a random amount before it strikes.
    Store store(temp.options());
    for (int i = 0; i < 1'000'000 && !store.find(digest_of(cat(round, " 0"))); ++i) ::sched_yield();
    for (unsigned i = 0, count = random() % 300; i < count; ++i) store.find(digest_of(cat("nothing", i)));
    siginfo_t ended{};
    CHECK(::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
    CHECK(ended.si_pid == 0);  // it publishes still
  }
  Store store(temp.options());
  CHECK(store.notes().empty());
  std::size_t found = 0;
  for (int round = 0; round < 25; ++round) {
    for (int i = 0; i < 1000; ++i) {
      const auto record = store.find(digest_of(cat(round, ' ', i)));
      if (!record) break;
      ++found;
      const Digest layer = store.chain(record->chain)->layer;
      CHECK(sys::read_file_at(store.open_tree(layer).get(), "f", 100) == cat(round, ' ', i));
    }
  }
  CHECK(found > 0);
  clean_up_leftovers(store);
  const auto left = sys::list_dir(sys::open_at(store.root_fd(), "tmp", O_RDONLY | O_DIRECTORY).get());
  CHECK(left.empty());
  CHECK(sys::list_dir(sys::open_at(store.root_fd(), "leases", O_RDONLY | O_DIRECTORY).get()).size() == 1);
}

TEST_CASE("processes on one store see each other's records") {
  TempStore temp;
  Store store(temp.options());
  CHECK(in_child([&] {
          Store other(temp.options());
          const Chain chain = add_file_layer(other, {}, "f", "from the child");
          other.publish(record_of(digest_of("child"), chain.id));
          return 0;
        }) == 0);
  const auto found = store.find(digest_of("child"));
  REQUIRE(found);
  CHECK(sys::read_file_at(store.open_tree(store.chain(found->chain)->layer).get(), "f", 100) == "from the child");
}

TEST_CASE("many processes begin one store at once") {
  TempStore temp;
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      int code = 1;
      try {
        Store store(temp.options());
        for (int j = 0; j < 10; ++j) {
          const Chain chain = add_file_layer(store, {}, "f", cat(i, j));
          store.publish(record_of(digest_of(cat(i, ' ', j)), chain.id));
          oci::put_blob(store.blobs(), "the same blob", "x");
        }
        code = store.notes().empty() ? 0 : 2;
      } catch (...) {
      }
      ::_exit(code);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    const test::Awaiting awaiting("the end of a writer");
    ::waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  Store store(temp.options());
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 10; ++j) CHECK(store.find(digest_of(cat(i, ' ', j))));
  }
}

TEST_CASE("a lock dies with its holder") {
  TempStore temp;
  Store store(temp.options());
  CHECK(in_child([&] {
          Store other(temp.options());
          auto lock = other.try_lock("step");
          ::raise(SIGKILL);
          return lock ? 0 : 1;
        }) == 128 + SIGKILL);
  CHECK(store.try_lock("step"));
}

TEST_CASE("threads share one handle") {
  TempStore temp;
  Store store(temp.options());
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      try {
        for (int i = 0; i < 20; ++i) {
          const Chain chain = add_file_layer(store, {}, "f", cat(t, i));
          store.publish(record_of(digest_of(cat(t, ' ', i)), chain.id));
          if (!store.find(digest_of(cat(t, ' ', i)))) ++failures;
          store.set_memo(chain.id, chain.id, chain.id);
          if (store.memo(chain.id, chain.id) != chain.id) ++failures;
        }
      } catch (...) {
        ++failures;
      }
    });
  }
  const test::Awaiting awaiting("the threads that publish");
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
}

TEST_CASE("one thread brings back chains that the index lost while another reads chains") {
  TempStore temp;
  Store store(temp.options());
  std::vector<Digest> chains;
  for (int i = 0; i < 4; ++i) chains.push_back(add_file_layer(store, {}, "f", std::to_string(i)).id);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      for (const Digest& chain : chains) {
        try {
          (void)store.chain_layers(chain);
        } catch (const Error&) {  // read while it was lost
        }
      }
    }
  });
  Database other(index_path(temp.root), false);
  for (int i = 0; i < 300; ++i) {
    other.run("DELETE FROM chains");
    for (const Digest& chain : chains) store.publish(record_of(chain, chain));
  }
  done = true;
  const test::Awaiting awaiting("the reader");
  reader.join();
  for (const Digest& chain : chains) CHECK(store.chain(chain));
}
