// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/rpm_database.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::supply {
namespace {

std::string be32(std::uint32_t number) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
  return out;
}

/// A header as rpm writes it: strings (type 6) and one number (type 4).
std::string header_of(const std::vector<std::pair<std::uint32_t, std::string>>& strings, std::uint32_t epoch) {
  std::string index, data = be32(epoch);
  index += cat(be32(1003), be32(4), be32(0), be32(1));
  for (const auto& [tag, text] : strings) {
    index += cat(be32(tag), be32(6), be32(static_cast<std::uint32_t>(data.size())), be32(1));
    data += text + std::string(1, '\0');
  }
  return cat(be32(static_cast<std::uint32_t>(strings.size() + 1)), be32(static_cast<std::uint32_t>(data.size())), index,
             data);
}

std::string bash_header() {
  return header_of({{1000, "bash"},
                    {1001, "5.2.15"},
                    {1002, "5.fc39"},
                    {1011, "Fedora Project"},
                    {1014, "GPL-3.0-or-later"},
                    {1022, "x86_64"},
                    {1044, "bash-5.2.15-5.fc39.src.rpm"}},
                   3);
}

/// The bytes of a database made by `script`; a '?' in it is the blob.
std::string database_of(const std::string& script, const std::vector<std::string>& blobs) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(":memory:", &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, script.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  for (const std::string& blob : blobs) {
    sqlite3_stmt* insert = nullptr;
    REQUIRE(sqlite3_prepare_v2(database, "INSERT INTO Packages(blob) VALUES (?)", -1, &insert, nullptr) == SQLITE_OK);
    sqlite3_bind_blob(insert, 1, blob.data(), static_cast<int>(blob.size()), SQLITE_TRANSIENT);
    CHECK(sqlite3_step(insert) == SQLITE_DONE);
    sqlite3_finalize(insert);
  }
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(database, "main", &size, 0);
  std::string out(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  sqlite3_close(database);
  return out;
}

constexpr char kSchema[] = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)";

}  // namespace

TEST_CASE("rpm: packages of an SQLite database, without keys") {
  const std::string key = header_of({{1000, "gpg-pubkey"}, {1001, "1"}, {1002, "2"}}, 0);
  const std::vector<Package> found =
      parse_rpm_database(database_of(kSchema, {bash_header(), key, "junk"}), {"fedora", "39"});
  REQUIRE(found.size() == 1);
  CHECK(
      found[0] ==
      Package{"rpm",
              "fedora",
              "bash",
              "5.2.15-5.fc39",
              {{"arch", "x86_64"}, {"distro", "fedora-39"}, {"epoch", "3"}, {"upstream", "bash-5.2.15-5.fc39.src.rpm"}},
              "GPL-3.0-or-later",
              "Fedora Project",
              {}});
}

TEST_CASE("rpm: a header that is cut or points outside gives no package and reads nothing outside") {
  const std::string whole = bash_header();
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(parse_rpm_header(whole.substr(0, size), {}));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(0xff);
    parse_rpm_header(changed, {});
  }
  CHECK_FALSE(parse_rpm_header(cat(be32(0xffffffff), be32(0xffffffff)), {}));
}

TEST_CASE("rpm: another file is an error") {
  for (const std::string& file :
       {std::string("junk"), std::string(4096, 'x'), database_of("CREATE TABLE other(x)", {})})
    CHECK_THROWS_AS(parse_rpm_database(file, {}), Error);
  std::string cut = database_of(kSchema, std::vector<std::string>(200, bash_header()));
  cut.resize(cut.size() / 2);
  CHECK_THROWS_AS(parse_rpm_database(cut, {}), Error);
  CHECK(parse_rpm_database("", {}).empty());
}

TEST_CASE("rpm: a database whose query never ends is an error") {
  const std::string endless = database_of(
      "CREATE VIEW Packages AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS blob FROM n "
      "WHERE x < 0",
      {});
  CHECK_THROWS_AS(parse_rpm_database(endless, {}), Error);
}

}  // namespace cbuild::supply
