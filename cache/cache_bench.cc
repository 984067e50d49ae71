// SPDX-License-Identifier: Apache-2.0
// Costs that every build pays: opening a store, finding records, publishing, scanning a context.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/sys.h"
#include "cache/content/tree_digest.h"
#include "cache/test_support.h"

using namespace cbuild;
using namespace cbuild::cache;
using namespace cbuild::cache::testing;

namespace {

/// Best and median of some runs, in microseconds.
void report(const char* what, int runs, const std::function<void()>& body) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const std::int64_t begin = sys::monotonic_ns();
    body();
    times.push_back(static_cast<double>(sys::monotonic_ns() - begin) / 1000);
  }
  std::sort(times.begin(), times.end());
  std::printf("%-44s best %10.1f us   median %10.1f us\n", what, times.front(), times[times.size() / 2]);
}

void bench_store() {
  TempStore temp;
  constexpr int kSteps = 1000;
  std::vector<Digest> keys;
  {
    Store store(temp.options());
    Digest chain;
    int step = 0;
    report("stage + add_tree + extend + publish", kSteps, [&] {
      if (step % 100 == 0) chain = {};
      chain = add_file_layer(store, chain, "f", std::to_string(step)).id;
      Record record = record_of(digest_of(std::to_string(step)), chain);
      record.definition_key = digest_of(cat("d", step));
      record.parts = {{"op", "RUN make"}, {"input 0", chain.str()}};
      store.publish(record);
      keys.push_back(record.definition_key);
      ++step;
    });
    Digest last = chain;
    int round = 0;
    report("publish alone", 200, [&] { store.publish(record_of(digest_of(cat("p", round++)), last)); });
    report("find, first time in a process", 1, [&] {
      for (int i = 0; i < 100; ++i) store.find(keys[static_cast<std::size_t>(i)]);
    });
    report("make_durable", 1, [&] { store.make_durable(); });
  }
  report("open", 50, [&] { Store store(temp.options()); });
  report("open + 20 finds + close", 50, [&] {
    Store store(temp.options());
    for (std::size_t i = 0; i < 20; ++i) {
      if (!store.find(keys[i])) std::abort();
    }
  });
  report("open + 100 finds + close", 50, [&] {
    Store store(temp.options());
    for (std::size_t i = 0; i < 100; ++i) store.find(keys[i]);
  });
}

void bench_scan(int directories, int files) {
  TempStore temp;
  Store store(temp.options());
  const std::string path = temp.dir.path() + "/ctx";
  sys::mkdir_all(AT_FDCWD, path, 0755);
  {
    const UniqueFd root = sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < directories; ++i) {
      for (int j = 0; j < files; ++j)
        write_file(root.get(), cat("d", i, "/file", j, ".txt"), cat("content ", i, ' ', j));
    }
  }
  Selector selection;
  selection.paths = {""};
  const auto scan = [&] {
    LocalTree tree([&] { return store.scans_fd(); }, path, {});
    tree.digest(selection);
    tree.save();
  };
  std::printf("%d files:\n", directories * files);
  report("  cold scan", 1, scan);
  report("  second scan", 1, scan);
  report("  warm scan", 15, scan);
}

}  // namespace

int main() {
  bench_store();
  bench_scan(15, 100);
  bench_scan(500, 100);
}
