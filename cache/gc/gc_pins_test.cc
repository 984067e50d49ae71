// SPDX-License-Identifier: Apache-2.0
// Items that live builds of other processes use, which gc has to leave.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "base/test_wait.h"
#include "cache/gc/gc.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

/// A process that does `work` on a store of its own and then keeps its pins until this goes out of scope.
class Builder {
 public:
  Builder(const TempStore& temp, const std::function<void(Store&)>& work) {
    int ready[2], end[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(end, O_CLOEXEC) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(end[1]);
      char byte = 'y';
      try {
        Store store(temp.options());
        work(store);
        if (::write(ready[1], &byte, 1) == 1) (void)!::read(end[0], &byte, 1);  // ends with this process, too
      } catch (...) {
      }
      ::_exit(0);
    }
    ::close(ready[1]);
    ::close(end[0]);
    end_ = UniqueFd(end[1]);
    const UniqueFd from(ready[0]);
    char byte = 0;
    const test::Awaiting awaiting("the work of the other builder");
    CHECK(::read(from.get(), &byte, 1) == 1);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() {
    end_.reset();
    int status = 0;
    const test::Awaiting awaiting("the end of the other builder");
    ::waitpid(pid_, &status, 0);
  }

 private:
  pid_t pid_ = -1;
  UniqueFd end_;
};

struct Packed {
  Digest key = digest_of("key"), chain, layer, blob;
};

/// A layer with a blob, of a process that is gone.
Packed make_packed(const TempStore& temp) {
  Store store(temp.options());
  Packed out;
  const Chain chain = add_file_layer(store, {}, "a", std::string(64u << 10, 'a'));
  const oci::Descriptor blob =
      oci::put_blob(store.blobs(), std::string(64u << 10, 'b'), std::string(oci::media_type::kLayer));
  store.set_packed(chain.layer, digest_of("diff"), blob);
  store.publish(record_of(out.key, chain.id));
  out.chain = chain.id;
  out.layer = chain.layer;
  out.blob = blob.digest;
  return out;
}

bool has_file(const TempStore& temp, const std::string& path) {
  return sys::try_stat_at(AT_FDCWD, cat(temp.root, "/", path)).has_value();
}

}  // namespace

TEST_CASE("items that a build in another process found, made or opened stay") {
  TempStore temp;
  const Packed packed = make_packed(temp);
  const auto everything_stays = [&](const std::function<void(Store&)>& work) {
    const Builder builder(temp, work);
    Store store(temp.options());
    PruneOptions all;
    all.all = true;
    CHECK(prune(store, all).empty());
    CHECK(has_file(temp, cat("snapshots/", packed.layer.hex(), "/fs/a")));
    CHECK(has_file(temp, cat("blobs/sha256/", packed.blob.hex())));
  };
  SUBCASE("a record") {
    everything_stays([&](Store& store) { REQUIRE(store.find(packed.key)); });
  }
  SUBCASE("a chain") {
    everything_stays([&](Store& store) { store.pin_chain(packed.chain); });
  }
  SUBCASE("a layer") {
    everything_stays([&](Store& store) { REQUIRE(store.layer(packed.layer)); });
  }
  Store store(temp.options());
  CHECK_FALSE(prune(store, {}).empty());
  CHECK_FALSE(has_file(temp, cat("snapshots/", packed.layer.hex())));
}

TEST_CASE("a blob that another process has open stays, the layer that it encodes does not") {
  TempStore temp;
  const Packed packed = make_packed(temp);
  const Builder builder(temp, [&](Store& store) { (void)store.blobs().open(packed.blob); });
  Store store(temp.options());
  prune(store, {});
  CHECK(has_file(temp, cat("blobs/sha256/", packed.blob.hex())));
  CHECK_FALSE(has_file(temp, cat("snapshots/", packed.layer.hex())));
}

TEST_CASE("a prune of blobs leaves those of layers that a live build uses") {
  TempStore temp;
  const Packed packed = make_packed(temp);
  PruneOptions blobs;
  blobs.kinds = {"blob"};
  {
    const Builder builder(temp, [&](Store& store) { REQUIRE(store.find(packed.key)); });
    Store store(temp.options());
    CHECK(prune(store, blobs).empty());
    CHECK(has_file(temp, cat("blobs/sha256/", packed.blob.hex())));
  }
  Store store(temp.options());
  CHECK(prune(store, blobs).size() == 1);
  CHECK_FALSE(has_file(temp, cat("blobs/sha256/", packed.blob.hex())));
  CHECK(store.find(packed.key));
}

TEST_CASE("a prune of blobs leaves those of the layers below one that a live build uses") {
  TempStore temp;
  const Packed below = make_packed(temp);
  {
    Store store(temp.options());
    store.publish(record_of(digest_of("top"), add_file_layer(store, below.chain, "b", "b").id));
  }
  PruneOptions blobs;
  blobs.kinds = {"blob"};
  const Builder builder(temp, [&](Store& store) { REQUIRE(store.find(digest_of("top"))); });
  Store store(temp.options());
  CHECK(prune(store, blobs).empty());
  CHECK(has_file(temp, cat("blobs/sha256/", below.blob.hex())));
}

TEST_CASE("a tree under construction in a live process stays, and goes with it") {
  TempStore temp;
  const auto tmp_entries = [&] {
    return sys::list_dir(sys::open_at(AT_FDCWD, temp.root + "/tmp", O_RDONLY | O_DIRECTORY).get()).size();
  };
  {
    std::optional<Staging> staging;
    const Builder builder(temp, [&](Store& store) {
      staging.emplace(store.stage("live"));
      new Staging(std::move(*staging));  // as if the process were killed
    });
    Store store(temp.options());
    prune(store, {});
    CHECK(tmp_entries() == 1);
  }
  Store store(temp.options());
  prune(store, {});
  CHECK(tmp_entries() == 0);
}

TEST_CASE("a layer that another one stands on goes after it, whatever was used last") {
  TempStore temp;
  Chain below, top;
  {
    Store store(temp.options());
    below = add_file_layer(store, {}, "a", std::string(64u << 10, 'a'));
    top = add_file_layer(store, below.id, "b", std::string(64u << 10, 'b'));
  }
  Store store(temp.options());
  const auto removed = prune(store, {});
  REQUIRE(removed.size() == 2);
  CHECK(removed[0].id == top.layer.hex());
  CHECK(removed[1].id == below.layer.hex());
}
