// SPDX-License-Identifier: Apache-2.0
// Output of the parallel compressors, read back by gzip, zlib and zstd; it must not depend on threads or on how the
// input is cut.
#include "oci/compression/compression.h"

#include <doctest/doctest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <zlib.h>

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/text.h"
#include "oci/compression/block_codec.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using test::bytes_of, test::collect, test::mixed_bytes, test::random_bytes;

std::string compress(std::string_view input, Compression compression, int level = 0, std::size_t cut = 0) {
  std::string out;
  ParallelCompressor compressor(compression, level, collect(out));
  for (std::size_t at = 0; at < input.size();) {
    const std::size_t count = std::min(cut ? cut : input.size(), input.size() - at);
    compressor.write(bytes_of(input.substr(at, count)));
    at += count;
  }
  compressor.finish();
  return out;
}

std::string decompress_with(const std::vector<std::string>& argv, std::string_view input) {
  const CommandResult result = run_command(argv, input, std::chrono::minutes(1), 64u << 20);
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  return result.out;
}

/// Number of bytes of the first gzip member, by zlib.
std::size_t first_member_size(std::string_view gzip) {
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, 31) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(gzip.data()));
  stream.avail_in = static_cast<uInt>(gzip.size());
  std::string sink(1 << 20, '\0');
  int result = Z_OK;
  while (result == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(sink.data());
    stream.avail_out = static_cast<uInt>(sink.size());
    result = inflate(&stream, Z_NO_FLUSH);
  }
  CHECK(result == Z_STREAM_END);
  const std::size_t used = stream.total_in;
  inflateEnd(&stream);
  return used;
}

const std::vector<std::string>& inputs() {
  static const std::vector<std::string> all = {
      "",
      "x",
      mixed_bytes(4096),
      mixed_bytes(512 << 10),
      mixed_bytes((512 << 10) + 1),
      mixed_bytes(5'000'003),
      random_bytes(3'000'000),
      std::string(4 << 20, '\0'),
  };
  return all;
}

/// A text whose first bytes come again, so that it matters how the codec remembers them.
std::string returning_text(std::uint32_t seed) {
  const std::string head = random_bytes(8, seed);
  return cat(head, random_bytes(64, seed + 1), head.substr(0), "filler", head.substr(1), "more", head.substr(2),
             std::string(300, 'x'));
}

std::string codec_output(BlockCodec& codec, std::string_view input) {
  RawBuffer out;
  codec.append(bytes_of(input), out);
  return std::string(reinterpret_cast<const char*>(out.content().data()), out.size());
}

TEST_CASE("any gunzip reads what was compressed, at every level") {
  for (const int level : {0, 1, 2, 3, 4, 6, 9, 12}) {
    CAPTURE(level);
    for (const std::string& input : inputs()) {
      if (level > 6 && input.size() > 4'500'000) continue;
      CAPTURE(input.size());
      CHECK(sha256(decompress_with({"gzip", "-dc"}, compress(input, Compression::gzip, level))) == sha256(input));
    }
  }
}

TEST_CASE("the fast gzip levels make one member") {
  for (const std::string& input : inputs()) {
    const std::string packed = compress(input, Compression::gzip);
    CHECK(first_member_size(packed) == packed.size());
  }
}

TEST_CASE("zstd reads what was compressed") {
  for (const int level : {0, 1, 3, 10}) {
    CAPTURE(level);
    for (const std::string& input : inputs()) {
      CAPTURE(input.size());
      const std::string packed = compress(input, Compression::zstd, level);
      CHECK(packed.size() > 0);
      CHECK(sha256(decompress_with({"zstd", "-dcq"}, packed)) == sha256(input));
    }
  }
}

TEST_CASE("no compression passes the bytes on") {
  for (const std::string& input : inputs()) CHECK(compress(input, Compression::none, 0, 100'000) == input);
}

TEST_CASE("bytes that do not compress hardly grow") {
  const std::string input = random_bytes(3'000'000);
  CHECK(compress(input, Compression::gzip).size() < input.size() + input.size() / 1000);
  CHECK(compress(input, Compression::zstd).size() < input.size() + input.size() / 1000);
}

TEST_CASE("the output depends on neither the cuts nor the threads") {
  const tbb::global_control eight_threads(tbb::global_control::max_allowed_parallelism, 8);
  const std::string input = mixed_bytes(6'000'000);
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    for (const int level : {0, 5}) {
      const std::string expected = compress(input, compression, level);
      for (const std::size_t cut :
           {std::size_t{1000}, std::size_t{4097}, std::size_t{512 << 10}, std::size_t{3'000'001}}) {
        CHECK(compress(input, compression, level, cut) == expected);
      }
      for (const int threads : {1, 2, 8}) {
        tbb::task_arena arena(threads);
        CHECK(arena.execute([&] { return compress(input, compression, level, 70'000); }) == expected);
      }
    }
  }
}

TEST_CASE("an error of the sink comes out and ends the work") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    for (const std::size_t size : {std::size_t{10}, std::size_t{20 << 20}}) {
      const auto fail = [](std::span<const std::byte>) { throw Error(ErrorCode::no_space, "disk full"); };
      const std::string input = mixed_bytes(size);
      const auto run = [&] {
        ParallelCompressor compressor(compression, 0, fail);
        compressor.write(bytes_of(input));
        compressor.finish();
      };
      CHECK_THROWS_AS(run(), Error);
    }
  }
}

TEST_CASE("a compressor may be dropped half way") {
  std::string out;
  ParallelCompressor compressor(Compression::gzip, 0, collect(out));
  compressor.write(bytes_of(mixed_bytes(8 << 20)));
}

TEST_CASE("levels are checked") {
  const auto sink = [](std::span<const std::byte>) {};
  CHECK_THROWS_AS(ParallelCompressor(Compression::gzip, 13, sink), Error);
  CHECK_THROWS_AS(ParallelCompressor(Compression::gzip, -1, sink), Error);
  CHECK_THROWS_AS(ParallelCompressor(Compression::zstd, 100, sink), Error);
}

TEST_CASE("names and media types of compressions") {
  CHECK(parse_compression("uncompressed") == Compression::none);
  CHECK(parse_compression("gzip") == Compression::gzip);
  CHECK(parse_compression("zstd") == Compression::zstd);
  CHECK(parse_compression("estargz") == Compression::estargz);
  CHECK(media_type(Compression::estargz) == media_type(Compression::gzip));
  CHECK(parse_compression("") == std::nullopt);
  CHECK(media_type(Compression::none) == "application/vnd.oci.image.layer.v1.tar");
  CHECK(media_type(Compression::gzip) == "application/vnd.oci.image.layer.v1.tar+gzip");
  CHECK(media_type(Compression::zstd) == "application/vnd.oci.image.layer.v1.tar+zstd");
  CHECK(media_type(Compression::gzip, true) == "application/vnd.docker.image.rootfs.diff.tar.gzip");
  CHECK(media_type(Compression::none, true) == "application/vnd.docker.image.rootfs.diff.tar");
  CHECK(media_type(Compression::zstd, true) == "application/vnd.docker.image.rootfs.diff.tar.zstd");
}

TEST_CASE("where in memory a codec lies is not seen in what it makes") {
  const std::string zeros(5000, '\0');
  for (const int level : {1, 2}) {
    BlockCodec first(Compression::gzip, level), second(Compression::gzip, level), third(Compression::gzip, level);
    std::uint32_t unlike = 0;
    for (std::uint32_t seed = 0; seed < 20'000; seed += 2) {
      const std::string text = seed % 16 == 0 ? zeros + returning_text(seed) : returning_text(seed);
      const std::string expected = codec_output(first, text);
      unlike += codec_output(second, text) != expected;
      unlike += codec_output(third, text) != expected;
    }
    CHECK(unlike == 0);
  }
}

}  // namespace
}  // namespace cbuild::oci::layer
