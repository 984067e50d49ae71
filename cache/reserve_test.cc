// SPDX-License-Identifier: Apache-2.0
#include "cache/reserve.h"

#include <doctest/doctest.h>

#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

std::uint64_t reserved_blocks(int root) {
  std::uint64_t bytes = 0;
  const auto dir = sys::try_open_at(root, "reserve", O_RDONLY | O_DIRECTORY);
  if (!dir) return 0;
  for (const std::string& name : sys::list_dir(dir->get()))
    bytes += static_cast<std::uint64_t>(sys::stat_at(dir->get(), name).st_blocks) * 512;
  return bytes;
}

}  // namespace

TEST_CASE("a reserve is real space, set aside once, and kept while the disk has room") {
  const TempDir dir = TempDir::in_tmp("cbuild-reserve-test-");
  keep_reserve(dir.fd(), 0);
  CHECK(reserved_blocks(dir.fd()) >= kReserveFiles * kReserveFileBytes);
  keep_reserve(dir.fd(), 0);
  CHECK(sys::list_dir(sys::open_at(dir.fd(), "reserve", O_RDONLY | O_DIRECTORY).get()).size() == kReserveFiles);
  use_reserve(dir.fd());
  CHECK(reserved_blocks(dir.fd()) >= kReserveFiles * kReserveFileBytes);
}

TEST_CASE("no reserve is taken of a disk that has little") {
  const TempDir dir = TempDir::in_tmp("cbuild-reserve-test-");
  keep_reserve(dir.fd(), UINT64_MAX / 2);
  CHECK(reserved_blocks(dir.fd()) == 0);
}

TEST_CASE("a build that made something leaves a reserve") {
  TempStore temp;
  Store store(temp.options());
  store.make_durable();
  CHECK(reserved_blocks(store.root_fd()) == 0);
  add_file_layer(store, {}, "f", "x");
  store.make_durable();
  CHECK(reserved_blocks(store.root_fd()) > 0);
}
