// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild {

namespace {

constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kMillion = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

}  // namespace

TEST_CASE("SHA-256 of the test vectors of FIPS 180-4") {
  CHECK(sha256("").hex() == kEmpty);
  CHECK(sha256("abc").hex() == kAbc);
  CHECK(sha256(std::string(1'000'000, 'a')).hex() == kMillion);
}

TEST_CASE("streaming gives the same for any cut and survives a move") {
  const std::string data(1'000'000, 'a');
  for (const std::size_t step : {std::size_t{1'000'000}, std::size_t{63}, std::size_t{4096}}) {
    Sha256 hash;
    for (std::size_t at = 0; at < data.size(); at += step) hash.update(std::string_view(data).substr(at, step));
    CHECK(hash.finish().hex() == kMillion);
  }
  Sha256 first;
  first.update("a").update("");
  Sha256 second(std::move(first));
  second.update("b");
  Sha256 third;
  third = std::move(second);
  CHECK(third.update("c").finish().hex() == kAbc);
}

TEST_CASE("sha256_fd begins at the current offset") {
  TempDir dir = TempDir::in_tmp("digest-");
  sys::write_file_at(dir.fd(), "f", "xxabc");
  const UniqueFd fd = sys::open_at(dir.fd(), "f", O_RDONLY);
  REQUIRE(::lseek(fd.get(), 2, SEEK_SET) == 2);
  CHECK(sha256_fd(fd.get()).hex() == kAbc);
  CHECK(sha256_fd(fd.get()).hex() == kEmpty);
  CHECK_THROWS_AS(sha256_fd(dir.fd()), Error);
}

TEST_CASE("digest text round trip") {
  const Digest digest = sha256("abc");
  CHECK(digest.str() == std::string("sha256:") + kAbc);
  CHECK(Digest::parse(digest.str()) == digest);
  CHECK(Digest::from_hex(kAbc) == digest);
  CHECK_FALSE(digest.empty());
  CHECK(Digest{}.empty());
  CHECK(Digest{} < digest);
}

TEST_CASE("only the exact text form is a digest") {
  std::string upper(kAbc);
  upper[0] = 'B';
  const std::string good = std::string("sha256:") + kAbc;
  for (const std::string& bad :
       {std::string(), std::string(kAbc), "sha512:" + std::string(kAbc), good + "0", good.substr(0, good.size() - 1),
        "SHA256:" + std::string(kAbc), "sha256:" + upper, " " + good, "sha256:" + std::string(64, 'g'),
        std::string("sha256:"), "sha256:" + std::string(64, '0')})
    CHECK_MESSAGE(Digest::parse(bad) == std::nullopt, std::string(bad));
  CHECK(Digest::from_hex(upper) == std::nullopt);
  CHECK(Digest::from_hex("") == std::nullopt);
}

TEST_CASE("canonical bytes tell all field lists apart") {
  std::set<std::string> seen;
  const auto add = [&](const CanonicalWriter& writer) { CHECK(seen.insert(writer.bytes()).second); };
  add(CanonicalWriter());
  add(CanonicalWriter().text(""));
  add(CanonicalWriter().text("").text(""));
  add(CanonicalWriter().text("ab").text("c"));
  add(CanonicalWriter().text("a").text("bc"));
  add(CanonicalWriter().text("abc"));
  add(CanonicalWriter().number(1));
  add(CanonicalWriter().tag(1));
  add(CanonicalWriter().tag(1).tag(0).tag(0).tag(0).tag(0).tag(0).tag(0).tag(0));
  add(CanonicalWriter().digest(sha256("abc")));
  add(CanonicalWriter().text(std::string_view(reinterpret_cast<const char*>(sha256("abc").bytes.data()), 32)));
}

TEST_CASE("canonical bytes are fixed: keys on disk depend on them") {
  const CanonicalWriter writer = CanonicalWriter().tag(7).number(0x0102).text("hi");
  CHECK(writer.bytes() == std::string("t\x07n\x02\x01\0\0\0\0\0\0s\x02\0\0\0\0\0\0\0hi", 22));
  CHECK(writer.hash() == sha256(writer.bytes()));
}

TEST_CASE("digests hash by their bytes") {
  const std::hash<Digest> hash;
  CHECK(hash(sha256("a")) == hash(sha256("a")));
  CHECK(hash(sha256("a")) != hash(sha256("b")));
}

}  // namespace cbuild
