// SPDX-License-Identifier: Apache-2.0
// Pieces as they are found again: in whole blocks, across sections, from several threads, under one digest.
#include "cache/content/content_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "base/files.h"
#include "cache/content/test_files.h"

namespace cbuild::cache {
namespace {

constexpr std::size_t kSection = ContentFile::kSection;

struct Piece {
  std::uint64_t at = 0;
  std::string bytes;
};

std::string noise_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

std::string read_back(int fd, const Piece& piece) {
  std::string out(piece.bytes.size(), '\0');
  const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(piece.at));
  out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return out;
}

UniqueFd new_contents(const TempDir& dir) { return sys::open_at(dir.fd(), "contents", O_RDWR | O_CREAT, 0600); }

TEST_CASE("pieces of several threads lie in whole blocks, each in one stretch") {
  const TempDir dir = TempDir::in_tmp("cbuild-content-");
  ContentFile file(new_contents(dir));
  std::vector<std::vector<Piece>> written(4);
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < written.size(); ++t)
      threads.emplace_back([&, t] {
        ContentAppender out(file);
        std::mt19937 random(t);
        for (unsigned i = 0; i < 60; ++i) {
          const std::size_t size = i % 20 == 7 ? kSection * (random() % 3) + 1 + random() % 5 : 1 + random() % 20'000;
          Piece piece{0, noise_bytes(size, t * 1000 + i)};
          piece.at = out.append(piece.bytes);
          written[t].push_back(std::move(piece));
        }
        out.flush();
      });
  }
  const ContentFile::Written whole = file.finish();
  CHECK(static_cast<std::uint64_t>(sys::stat_fd(file.fd()).st_size) == whole.size);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
  for (const auto& pieces : written)
    for (const Piece& piece : pieces) {
      CHECK(piece.at % ContentFile::kBlock == 0);
      CHECK(sha256(read_back(file.fd(), piece)) == sha256(piece.bytes));
      taken.emplace_back(piece.at, piece.at + piece.bytes.size());
    }
  std::sort(taken.begin(), taken.end());
  for (std::size_t i = 1; i < taken.size(); ++i) CHECK(taken[i - 1].second <= taken[i].first);
  CHECK(digest_content(file.fd(), whole.size) == whole.digest);
}

TEST_CASE("sizes around that of a section") {
  for (const std::size_t size :
       {kSection - 512, kSection - 1, kSection, kSection + 1, 2 * kSection, 2 * kSection + 512}) {
    CAPTURE(size);
    const TempDir dir = TempDir::in_tmp("cbuild-content-");
    ContentFile file(new_contents(dir));
    ContentAppender out(file);
    std::vector<Piece> pieces{{0, noise_bytes(100, 1)},
                              {0, noise_bytes(size, 2)},
                              {0, noise_bytes(512, 3)},
                              {0, noise_bytes(size, 4)},
                              {0, "end"}};
    for (Piece& piece : pieces) piece.at = out.append(piece.bytes);
    out.flush();
    const ContentFile::Written whole = file.finish();
    for (const Piece& piece : pieces) CHECK(read_back(file.fd(), piece) == piece.bytes);
    CHECK(digest_content(file.fd(), whole.size) == whole.digest);
  }
}

TEST_CASE("the digest is that of every byte") {
  const TempDir dir = TempDir::in_tmp("cbuild-content-");
  ContentFile file(new_contents(dir));
  ContentAppender out(file);
  out.append(noise_bytes(3 * kSection - 700, 5));
  out.flush();
  const ContentFile::Written whole = file.finish();
  REQUIRE(whole.size == 3 * kSection);
  for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{kSection}, whole.size - 700, whole.size - 1}) {
    char was = 0;
    REQUIRE(::pread(file.fd(), &was, 1, static_cast<off_t>(at)) == 1);
    sys::pwrite_all(file.fd(), std::string(1, static_cast<char>(was ^ 1)), static_cast<off_t>(at));
    CHECK(digest_content(file.fd(), whole.size) != whole.digest);
    sys::pwrite_all(file.fd(), std::string(1, was), static_cast<off_t>(at));
    CHECK(digest_content(file.fd(), whole.size) == whole.digest);
  }
  CHECK(digest_content(file.fd(), whole.size + kSection).empty());
  CHECK(digest_content(file.fd(), whole.size - 1).empty());
}

TEST_CASE("nothing was appended") {
  const TempDir dir = TempDir::in_tmp("cbuild-content-");
  ContentFile file(new_contents(dir));
  ContentAppender(file).flush();
  const ContentFile::Written whole = file.finish();
  CHECK(whole.size == 0);
  CHECK(digest_content(file.fd(), 0) == whole.digest);
}

}  // namespace
}  // namespace cbuild::cache
