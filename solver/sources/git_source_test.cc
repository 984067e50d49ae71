// SPDX-License-Identifier: Apache-2.0
#include "solver/sources/git_source.h"

#include <doctest/doctest.h>

namespace cbuild::solver::ops {
namespace {

const std::string kA(40, 'a'), kB(40, 'b'), kC(40, 'c');

TEST_CASE("HEAD of a remote") {
  CHECK(parse_ls_remote("ref: refs/heads/main\tHEAD\n" + kA + "\tHEAD\n", "") == GitCommit{kA, "", "refs/heads/main"});
  CHECK(parse_ls_remote(kA + "\tHEAD\n", "") == GitCommit{kA, "", ""});
  CHECK_FALSE(parse_ls_remote("", "").has_value());
}

TEST_CASE("a branch wins over a tag, a full name over both") {
  const std::string both = kA + "\trefs/heads/x\n" + kB + "\trefs/tags/x\n" + kC + "\trefs/tags/x^{}\n";
  CHECK(parse_ls_remote(both, "x") == GitCommit{kA, "", "refs/heads/x"});
  CHECK(parse_ls_remote(both, "refs/tags/x") == GitCommit{kC, kB, "refs/tags/x"});
  CHECK(parse_ls_remote(both, "tags/x") == GitCommit{kC, kB, "refs/tags/x"});
  CHECK(parse_ls_remote(kA + "\trefs/pull/1/head\n", "refs/pull/1/head") == GitCommit{kA, "", "refs/pull/1/head"});
}

TEST_CASE("names that only end like the ref do not count") {
  CHECK_FALSE(parse_ls_remote(kA + "\trefs/heads/other/x\n", "x").has_value());
  CHECK(parse_ls_remote(kB + "\trefs/tags/v1\n", "v1") == GitCommit{kB, "", "refs/tags/v1"});
}

}  // namespace
}  // namespace cbuild::solver::ops
