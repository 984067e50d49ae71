// SPDX-License-Identifier: Apache-2.0
// A walk over 50,000 files in 500 directories with a list of 20 patterns, and the start of a process that hashes.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>

#include "base/digest.h"
#include "base/pattern/path_pattern.h"
#include "base/sys.h"
#include "base/text.h"

using namespace cbuild;

namespace {

void report(const char* what, int runs, const std::function<void()>& body) {
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < runs; ++i) {
    const std::int64_t begin = sys::monotonic_ns();
    body();
    best = std::min(best, sys::monotonic_ns() - begin);
  }
  std::printf("%-40s best %10.1f us\n", what, static_cast<double>(best) / 1000);
}

const PathPatternList& typical_list() {
  static const PathPatternList list({"**/node_modules",
                                     "**/.git",
                                     "*.log",
                                     "**/*.tmp",
                                     "build/**",
                                     "!build/keep/**",
                                     "**/__pycache__",
                                     "docs/*.md",
                                     "!docs/README.md",
                                     "**/*.py[cod]",
                                     "src/**/testdata/*.bin",
                                     ".env*",
                                     "**/.DS_Store",
                                     "coverage",
                                     "dist/",
                                     "**/*~",
                                     "vendor/**/test",
                                     "**/target/debug/**",
                                     "tmp/?/*.o",
                                     "!**/important.txt"});
  return list;
}

struct Directory {
  std::string above, path;
  std::vector<std::string> files;
};

std::vector<Directory> make_tree() {
  std::vector<Directory> tree;
  for (int d = 0; d < 500; ++d) {
    Directory directory{cat("src/package", d % 50), "", {}};
    directory.path = cat(directory.above, "/module", d);
    for (int f = 0; f < 100; ++f) directory.files.push_back(cat(directory.path, "/file_name_", f, ".cc"));
    tree.push_back(std::move(directory));
  }
  return tree;
}

std::size_t walk(const PathPatternList& list, const std::vector<Directory>& tree) {
  std::size_t ignored = 0;
  PathPatternList::ParentMatch top, above, here, file;
  list.matches("src", {}, top);
  for (const Directory& directory : tree) {
    list.matches(directory.above, top, above);
    list.matches(directory.path, above, here);
    for (const std::string& path : directory.files) ignored += list.matches(path, here, file) ? 1 : 0;
  }
  return ignored;
}

}  // namespace

int main() {
  report("first SHA-256 of the process", 1, [] { sha256("x"); });
  const std::string data(std::size_t{64} << 20, 'x');
  report("SHA-256 of 64 MiB", 5, [&] { sha256(data); });
  const std::vector<Directory> tree = make_tree();
  std::size_t ignored = 0;
  report("50,000 files against 20 patterns", 20, [&] { ignored += walk(typical_list(), tree); });
  return ignored == 0 ? 0 : 1;
}
