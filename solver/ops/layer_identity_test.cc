// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/layer_identity.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <functional>
#include <limits>

#include "base/files.h"
#include "oci/layer/test_support.h"

using namespace cbuild;
using namespace cbuild::solver::ops;
using oci::layer::test::TreeMaker;

namespace {

/// All times are of the run: what differs is not when something was made.
constexpr RunTimes kAnyTime{0, std::numeric_limits<std::int64_t>::max(), nullptr};

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

TEST_CASE("what is too large has no identity") {
  const auto five_bytes = [](TreeMaker& m) { m.file("a", "abc").file("b", "de"); };
  CHECK(identity_of(five_bytes, 5, 2));
  CHECK_FALSE(identity_of(five_bytes, 4, 2));
  CHECK_FALSE(identity_of(five_bytes, 5, 1));
}
