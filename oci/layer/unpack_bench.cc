// SPDX-License-Identifier: Apache-2.0
// unpack_bench [blob]: unpacks made-up layers (or one given) into a temporary directory.
#include "oci/layer/unpack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "oci/compression/block_stream.h"
#include "oci/layer/bench_trees.h"
#include "oci/layer/pack.h"

namespace cbuild::oci::layer {
namespace {

UniqueFd unnamed_file() {
  UniqueFd fd(memfd_create("unpack-bench", MFD_CLOEXEC));
  if (!fd) throw_errno(errno, "memfd");
  return fd;
}

/// Packs `dirfd` into an unnamed file and returns the uncompressed size.
std::uint64_t pack_into(int dirfd, int blob, Compression compression) {
  TaskGroup tasks;
  BlockStream stream(tasks, compression, 0, [blob](std::span<const std::byte> bytes) {
    sys::write_all(blob, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  });
  write_tree_tar(dirfd, [&stream](std::span<const std::byte> bytes) { stream.write(bytes); }, {});
  stream.finish();
  return stream.size();
}

void bench_blob(const std::string& what, int blob, double bytes, int rounds, std::optional<unsigned> threads = {}) {
  std::vector<TempDir> targets;  // removed at the end: ext4 is slow to make files where some were just deleted
  UnpackResult result;
  UnpackOptions options;
  options.threads = threads;
  const bench::Cost cost = bench::best_cost(
      rounds, [&] { result = unpack(blob, targets.back().fd(), options); },
      [&] {
        lseek(blob, 0, SEEK_SET);
        targets.push_back(TempDir::in_tmp("unpack-bench"));
      });
  bench::report(what.c_str(), cost, bytes, static_cast<double>(result.entries));
}

void bench_made(const std::string& what, std::size_t count, std::size_t size, int rounds) {
  const TempDir dir = TempDir::in_tmp("unpack-bench");
  bench::make_files(dir.fd(), count, size);
  const std::pair<Compression, const char*> all[] = {
      {Compression::gzip, ", gzip"}, {Compression::zstd, ", zstd"}, {Compression::none, ", tar"}};
  for (const auto& [compression, suffix] : all) {
    const UniqueFd blob = unnamed_file();
    const auto bytes = static_cast<double>(pack_into(dir.fd(), blob.get(), compression));
    bench_blob(what + suffix, blob.get(), bytes, rounds);
    if (count > 1) bench_blob(what + suffix + ", made by one", blob.get(), bytes, rounds, 0);
  }
}

}  // namespace
}  // namespace cbuild::oci::layer

int main(int argc, char** argv) {
  using namespace cbuild;
  using namespace cbuild::oci::layer;
  if (argc > 1) {
    const UniqueFd blob = sys::open_at(AT_FDCWD, argv[1], O_RDONLY);
    const auto bytes = static_cast<double>(sys::stat_fd(blob.get()).st_size);
    bench_blob(argv[1], blob.get(), bytes, 3);
    bench_blob("made by one", blob.get(), bytes, 3, 0);
    return 0;
  }
  bench_made("1 file of 100 bytes", 1, 100, 500);
  bench_made("50,000 files of 4 KiB", 50'000, 4096, 2);
  bench_made("70 files of 10 MB", 70, 10'000'000, 2);
  return 0;
}
