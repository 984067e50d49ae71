// SPDX-License-Identifier: Apache-2.0
// Pairs of trees whose identities must differ or agree: two runs of a step count as equal only if nobody can tell them
// apart.
#include "solver/ops/layer_identity.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "oci/layer/test_support.h"

using namespace cbuild;
using namespace cbuild::solver::ops;
using oci::layer::test::TreeMaker;

namespace {

/// All times are of the run, so no difference comes from the time.
const RunTimes kAnyTime{0, std::numeric_limits<std::int64_t>::max()};

std::optional<Digest> identity_of(const std::function<void(TreeMaker&)>& make_tree, std::uint64_t max_bytes = 1000,
                                  std::uint64_t max_entries = 10) {
  const TempDir tree = TempDir::in_tmp("cbuild-identity-");
  TreeMaker make(tree.fd());
  make_tree(make);
  return layer_identity(tree.fd(), kAnyTime, max_bytes, max_entries);
}

/// Whether two runs that made these are told apart.
bool differ(const std::function<void(TreeMaker&)>& one, const std::function<void(TreeMaker&)>& other) {
  CHECK(identity_of(one) == identity_of(one));
  return identity_of(one) != identity_of(other);
}

constexpr std::int64_t kSecond = 1'000'000'000;

/// Identity of the changes of a step that runs now.
Digest identity_now(const std::function<void(TreeMaker&)>& make_tree, const cache::TreeView* base = nullptr) {
  const TempDir tree = TempDir::in_tmp("cbuild-identity-");
  const std::int64_t began = sys::now_ns();
  TreeMaker make(tree.fd());
  make_tree(make);
  const auto identity = layer_identity(tree.fd(), {began, sys::now_ns(), [base] { return base; }}, 1000, 10);
  REQUIRE(identity);
  return *identity;
}

}  // namespace

TEST_CASE("runs that made other things are told apart") {
  CHECK(differ([](TreeMaker& m) { m.file("f", "a"); }, [](TreeMaker& m) { m.file("f", "b"); }));
  CHECK(differ([](TreeMaker& m) { m.file("f", "a"); }, [](TreeMaker& m) { m.file("g", "a"); }));
  CHECK(differ([](TreeMaker& m) { m.file("f", ""); }, [](TreeMaker& m) { m.dir("f"); }));
  CHECK(differ([](TreeMaker& m) { m.symlink("l", "a"); }, [](TreeMaker& m) { m.symlink("l", "b"); }));
  CHECK(differ([](TreeMaker& m) { m.dir("d").file("f"); }, [](TreeMaker& m) { m.file("d/f"); }));
}

TEST_CASE("setuid, setgid and sticky bits tell runs apart") {
  for (const mode_t bit : {04000u, 02000u, 01000u}) {
    CAPTURE(bit);
    CHECK(differ([](TreeMaker& m) { m.file("f", "x", 0755); }, [bit](TreeMaker& m) { m.file("f", "x", 0755 | bit); }));
    CHECK(differ([](TreeMaker& m) { m.dir("d", 0755); }, [bit](TreeMaker& m) { m.dir("d", 0755 | bit); }));
  }
}

TEST_CASE("a link and a copy are told apart") {
  CHECK(differ([](TreeMaker& m) { m.file("a", "x").file("b", "x"); },
               [](TreeMaker& m) { m.file("a", "x").hardlink("b", "a"); }));
  CHECK(differ([](TreeMaker& m) { m.file("a", "x").file("b", "x").hardlink("c", "a"); },
               [](TreeMaker& m) { m.file("a", "x").file("b", "x").hardlink("c", "b"); }));
}

TEST_CASE("devices, whiteouts and owners tell runs apart") {
  if (!oci::layer::test::is_root()) {
    MESSAGE("skipped: needs root");
    return;
  }
  const auto null = [](TreeMaker& m) { m.node("n", S_IFCHR | 0600, 1, 3); };
  CHECK(differ(null, [](TreeMaker& m) { m.node("n", S_IFCHR | 0600, 1, 5); }));
  CHECK(differ(null, [](TreeMaker& m) { m.whiteout("n"); }));
  CHECK(differ([](TreeMaker& m) { m.file("f").own("f", 1, 2); }, [](TreeMaker& m) { m.file("f").own("f", 1, 3); }));
  CHECK(differ([](TreeMaker& m) { m.file("f").own("f", 1, 2); }, [](TreeMaker& m) { m.file("f").own("f", 2, 2); }));
}

TEST_CASE("a directory that was made again and one that was added to are told apart") {
  if (!oci::layer::test::is_root()) {
    MESSAGE("skipped: needs root");
    return;
  }
  CHECK(differ([](TreeMaker& m) { m.dir("d"); },
               [](TreeMaker& m) { m.dir("d").xattr("d", "trusted.overlay.opaque", "y"); }));
  CHECK(differ(
      [](TreeMaker& m) { m.file("f"); },
      [](TreeMaker& m) { m.file("f").xattr("f", "security.capability", oci::layer::test::capability_value()); }));
}

TEST_CASE("changes that are too large have no identity") {
  const auto five_bytes = [](TreeMaker& m) { m.file("a", "abc").file("b", "de"); };
  CHECK(identity_of(five_bytes, 5, 2));
  CHECK_FALSE(identity_of(five_bytes, 4, 2));
  CHECK_FALSE(identity_of(five_bytes, 5, 1));
}

TEST_CASE("times that a step set tell runs apart, times of its run do not") {
  const auto with = [](const char* path, std::int64_t seconds) {
    return identity_now([&](TreeMaker& m) {
      m.dir("d").file("d/f", "x").symlink("d/l", "f");
      if (*path != '\0') m.mtime(path, seconds);
    });
  };
  const Digest plain = with("", 0);
  CHECK(with("", 0) == plain);
  CHECK(with("d/f", sys::now_ns() / kSecond) == plain);
  for (const char* path : {"d/f", "d/l", "d", "."}) {
    CAPTURE(path);
    CHECK(with(path, 1000) != plain);
    CHECK(with(path, 1000) == with(path, 1000));
    CHECK(with(path, 1000) != with(path, 2000));
    CHECK(with(path, 9'000'000'000) != plain);
  }
}

TEST_CASE("a file with the base's time was not given it by the step") {
  const TempDir below = TempDir::in_tmp("cbuild-identity-base-");
  TreeMaker(below.fd()).dir("d").file("d/f", "x").mtime("d", 1000);
  const cache::TreeView base = cache::TreeView::of_directory(below.fd());
  const auto touched = [](std::int64_t seconds) {
    return [seconds](TreeMaker& m) { m.dir("d").file("d/g", "y").mtime("d", seconds); };
  };
  const Digest kept = identity_now(touched(1000), &base);
  CHECK(kept == identity_now([](TreeMaker& m) { m.dir("d").file("d/g", "y"); }, &base));
  CHECK(kept != identity_now(touched(1001), &base));
  CHECK(kept != identity_now(touched(1000)));
}

TEST_CASE("the root's mode tells runs apart") {
  const TempDir tree = TempDir::in_tmp("cbuild-identity-");
  const auto before = layer_identity(tree.fd(), kAnyTime, 10, 10);
  REQUIRE(fchmod(tree.fd(), 0755) == 0);
  CHECK(layer_identity(tree.fd(), kAnyTime, 10, 10) != before);
}

TEST_CASE("of overlay's own xattrs only the opaque mark tells runs apart") {
  if (!oci::layer::test::is_root()) {
    MESSAGE("skipped: needs root");
    return;
  }
  const auto with = [](const char* name) { return [name](TreeMaker& m) { m.dir("d").xattr("d", name, "y"); }; };
  const auto none = [](TreeMaker& m) { m.dir("d"); };
  CHECK_FALSE(differ(none, with("trusted.overlay.origin")));
  CHECK(differ(none, with("trusted.note")));
}
