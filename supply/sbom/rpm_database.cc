// SPDX-License-Identifier: Apache-2.0
// rpm's database since version 4.16: an SQLite file with a header for each package. The file comes from an image, so it
// is opened from memory, defensively, and a query that takes too long is broken off. A header is an index of 16-byte
// entries (tag, type, offset, count; big-endian) and the data that they point into: lib/header.c of rpm.
#include "supply/sbom/rpm_database.h"

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::supply {
namespace {

enum Tag : std::uint32_t {
  kName = 1000,
  kVersion = 1001,
  kRelease = 1002,
  kEpoch = 1003,
  kVendor = 1011,
  kLicense = 1014,
  kArch = 1022,
  kSourceRpm = 1044,
};
enum Type : std::uint32_t { kInt32 = 4, kString = 6, kI18nString = 9 };

constexpr std::size_t kEntrySize = 16, kMostEntries = 1u << 16;
constexpr int kMostRows = 200'000;
constexpr int kStepsPerCheck = 10'000, kMostChecks = 200'000;  // of SQLite's machine

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

/// The values of a header that count.
class RpmHeader {
 public:
  /// False for other bytes.
  bool open(std::string_view bytes) {
    if (bytes.size() < 8) return false;
    entries_ = number_at(bytes, 0);
    const std::uint64_t data = number_at(bytes, 4), index = 8 + std::uint64_t{entries_} * kEntrySize;
    if (entries_ > kMostEntries || index + data > bytes.size()) return false;
    index_ = bytes.substr(8, index - 8);
    data_ = bytes.substr(index, data);
    return true;
  }

  std::string text(Tag tag) const {
    const std::size_t at = find(tag, {kString, kI18nString});
    if (at == std::string_view::npos) return {};
    const std::size_t end = data_.find('\0', at);
    return end == std::string_view::npos ? std::string() : std::string(data_.substr(at, end - at));
  }

  std::optional<std::uint32_t> number(Tag tag) const {
    const std::size_t at = find(tag, {kInt32});
    if (at == std::string_view::npos || at + 4 > data_.size()) return std::nullopt;
    return number_at(data_, at);
  }

 private:
  std::size_t find(Tag tag, std::initializer_list<Type> types) const {
    for (std::size_t i = 0; i < entries_; ++i) {
      const std::size_t at = i * kEntrySize;
      if (number_at(index_, at) != tag) continue;
      const std::uint32_t type = number_at(index_, at + 4), offset = number_at(index_, at + 8);
      for (const Type wanted : types)
        if (type == wanted && offset < data_.size()) return offset;
    }
    return std::string_view::npos;
  }

  std::uint32_t entries_ = 0;
  std::string_view index_, data_;
};

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinishStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

[[noreturn]] void fail(sqlite3* database) {
  throw Error(ErrorCode::corrupt, cat("rpm database: ", sqlite3_errmsg(database)));
}

int count_down(void* left) { return --*static_cast<int*>(left) < 0 ? 1 : 0; }

std::unique_ptr<sqlite3, CloseDatabase> open_in_memory(const std::string& file) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE, nullptr);
  std::unique_ptr<sqlite3, CloseDatabase> database(raw);
  if (opened != SQLITE_OK) throw Error(ErrorCode::internal, "rpm database: no memory");
  auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(file.size()));
  if (copy == nullptr) throw Error(ErrorCode::internal, "rpm database: no memory");
  file.copy(reinterpret_cast<char*>(copy), file.size());
  const auto size = static_cast<sqlite3_int64>(file.size());
  if (sqlite3_deserialize(raw, "main", copy, size, size,
                          SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) != SQLITE_OK)
    fail(raw);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

}  // namespace

std::optional<Package> parse_rpm_header(std::string_view header, const Distribution& distribution) {
  RpmHeader rpm;
  if (!rpm.open(header)) return std::nullopt;
  const std::string name = rpm.text(kName), epoch = rpm.number(kEpoch) ? std::to_string(*rpm.number(kEpoch)) : "";
  if (name.empty()) return std::nullopt;
  return Package{
      "rpm",
      distribution.id,
      name,
      cat(rpm.text(kVersion), "-", rpm.text(kRelease)),
      {{"arch", rpm.text(kArch)}, {"distro", distribution.str()}, {"epoch", epoch}, {"upstream", rpm.text(kSourceRpm)}},
      rpm.text(kLicense),
      rpm.text(kVendor),
      {}};
}

std::vector<Package> parse_rpm_database(const std::string& file, const Distribution& distribution) {
  std::vector<Package> out;
  if (file.empty()) return out;
  const auto database = open_in_memory(file);
  int left = kMostChecks;
  sqlite3_progress_handler(database.get(), kStepsPerCheck, count_down, &left);
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database.get(), "SELECT blob FROM Packages", -1, &raw, nullptr) != SQLITE_OK)
    fail(database.get());
  const std::unique_ptr<sqlite3_stmt, FinishStatement> statement(raw);
  int rows = 0, step = SQLITE_ROW;
  while (rows++ < kMostRows && (step = sqlite3_step(raw)) == SQLITE_ROW) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(raw, 0));
    if (bytes == nullptr) continue;
    const std::string_view header(bytes, static_cast<std::size_t>(sqlite3_column_bytes(raw, 0)));
    // Keys of trusted signers are kept as packages, too.
    if (auto package = parse_rpm_header(header, distribution); package && package->name != "gpg-pubkey")
      out.push_back(std::move(*package));
  }
  if (step != SQLITE_DONE && step != SQLITE_ROW) fail(database.get());
  return out;
}

}  // namespace cbuild::supply
