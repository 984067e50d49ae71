// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "cache/content/context_test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

TEST_CASE("a change right after the scan is seen") {
  Context context;
  for (int i = 0; i < 30; ++i) {
    write_file(context.fd(), "f", "aaaa");
    const Digest before = context.local(all_of());
    write_file(context.fd(), "f", "bbbb");
    CHECK(context.local(all_of()) != before);
  }
}

TEST_CASE("a damaged table costs only time") {
  Context context;
  context.base();
  for (const char* path : {"src/main.c", "src/lib/a.c", "README"}) set_mtime(context.fd(), path, 1000);
  const Digest digest = context.local(all_of());
  // Files that are too young are not remembered; they grow older while we look.
  for (int i = 0; i < 100'000 && sys::list_dir(context.scans.get()).empty(); ++i) context.local(all_of());
  const auto names = sys::list_dir(context.scans.get());
  REQUIRE(names.size() == 1);
  const std::string whole = sys::read_file_at(context.scans.get(), names[0], 1 << 20);
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    sys::write_file_at(context.scans.get(), names[0], damaged);
    CHECK(context.local_tree().digest(all_of()) == digest);
    sys::write_file_at(context.scans.get(), names[0], whole.substr(0, at));
    CHECK(context.local_tree().digest(all_of()) == digest);
  }
}

TEST_CASE("large trees are scanned in parallel to the same digest") {
  Context context;
  for (int i = 0; i < 12; ++i) {
    for (int j = 0; j < 100; ++j) write_file(context.fd(), cat("d", i, "/f", j), cat(i, ' ', j));
  }
  for (int j = 0; j < 1100; ++j) write_file(context.fd(), cat("flat/f", j), std::to_string(j));
  const Digest before = context.digest(all_of());
  write_file(context.fd(), "flat/f777", "x");
  CHECK(context.digest(all_of()) != before);
}
