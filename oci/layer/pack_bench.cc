// SPDX-License-Identifier: Apache-2.0
// pack_bench [directory]: packs made-up trees (or one given) into a store that digests the bytes and drops them.
#include "oci/layer/pack.h"

#include <fcntl.h>

#include "base/files.h"
#include "oci/layer/bench_trees.h"

namespace cbuild::oci::layer {
namespace {

/// A blob store that costs what every store costs, the digest, and keeps nothing.
class DroppingBlobs final : public BlobStore {
 public:
  std::optional<std::uint64_t> size(const Digest&) override { return std::nullopt; }
  UniqueFd open(const Digest&) override { return UniqueFd(); }
  std::unique_ptr<BlobWriter> create() override { return std::make_unique<Writer>(); }

 private:
  class Writer final : public BlobWriter {
   public:
    void write(std::span<const std::byte> data) override { sha_.update(data); }
    Digest commit(const Digest&, std::optional<std::uint64_t>) override { return sha_.finish(); }

   private:
    Sha256 sha_;
  };
};

void bench_tree(const char* what, int dirfd, Compression compression, int rounds, double files) {
  DroppingBlobs blobs;
  PackOptions options;
  options.compression = compression;
  PackedLayer layer;
  const bench::Cost cost = bench::best_cost(
      rounds, [&] { layer = pack_layer(dirfd, blobs, options); }, [] {});
  const auto bytes = static_cast<double>(layer.uncompressed_size);
  bench::report(cat(what, ", ", media_type(compression).substr(35)).c_str(), cost, bytes, files);
  std::printf("%34s ratio %.3f of %.1f MB\n", "", static_cast<double>(layer.descriptor.size) / bytes, bytes / 1e6);
}

void bench_all(const char* what, int dirfd, int rounds, double files) {
  for (const Compression compression : {Compression::gzip, Compression::zstd, Compression::none}) {
    bench_tree(what, dirfd, compression, rounds, files);
  }
}

void bench_made(const char* what, std::size_t count, std::size_t size, int rounds) {
  const TempDir dir = TempDir::in_tmp("pack-bench");
  bench::make_files(dir.fd(), count, size);
  bench_all(what, dir.fd(), rounds, static_cast<double>(count));
}

}  // namespace
}  // namespace cbuild::oci::layer

int main(int argc, char** argv) {
  using namespace cbuild;
  using namespace cbuild::oci::layer;
  if (argc > 1) {
    const UniqueFd dir = sys::open_at(AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY);
    bench_all(argv[1], dir.get(), 3, 1);
    return 0;
  }
  bench_made("1 file of 100 bytes", 1, 100, 2000);
  bench_made("20 files of 10 kB", 20, 10'000, 500);
  bench_made("50,000 files of 4 KiB", 50'000, 4096, 3);
  bench_made("70 files of 10 MB", 70, 10'000'000, 3);
  return 0;
}
