// SPDX-License-Identifier: Apache-2.0
// POSIX.1-2001 pax interchange format ("pax", IEEE Std 1003.1), as Go's archive/tar and GNU tar read it.
#include "oci/layer/tar_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::array<std::byte, 2 * kBlock> kZeros{};

/// The ustar header; all fields are ASCII.
struct Header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
      user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
static_assert(sizeof(Header) == kBlock);

char type_flag(EntryType type) {
  switch (type) {
    case EntryType::file:
      return '0';
    case EntryType::hardlink:
      return '1';
    case EntryType::symlink:
      return '2';
    case EntryType::char_device:
      return '3';
    case EntryType::block_device:
      return '4';
    case EntryType::directory:
      return '5';
    case EntryType::fifo:
      return '6';
  }
  check_failed("entry type", __FILE__, __LINE__);
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Writes `value` with leading zeros and a final NUL; false if it does not fit.
template <std::size_t N>
bool put_octal(char (&field)[N], std::uint64_t value) {
  for (std::size_t i = N - 1; i-- > 0;) {
    field[i] = static_cast<char>('0' + (value & 7));
    value >>= 3;
  }
  field[N - 1] = '\0';
  return value == 0;
}

/// The content of a field that is overruled by a PAX record: something a person can recognise, in ASCII, never empty.
void put_hint(char* field, std::size_t room, std::string_view text) {
  const std::size_t count = std::min(room, text.size());
  for (std::size_t i = 0; i < count; ++i) {
    field[i] = static_cast<unsigned char>(text[i]) < 0x80 ? text[i] : '_';
  }
}

/// Puts a name into name and prefix; false if ustar has no way to write it.
bool put_name(Header& header, std::string_view name) {
  if (!is_ascii(name)) return false;
  if (name.size() <= sizeof header.name) {
    std::memcpy(header.name, name.data(), name.size());
    return true;
  }
  const std::size_t cut = name.find('/', name.size() - sizeof header.name - 1);
  if (cut == std::string_view::npos || cut == 0 || cut > sizeof header.prefix || cut + 1 == name.size()) return false;
  std::memcpy(header.prefix, name.data(), cut);
  std::memcpy(header.name, name.data() + cut + 1, name.size() - cut - 1);
  return true;
}

/// One PAX record "<length> <key>=<value>\n", where the length counts itself.
void append_record(std::string& out, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + std::to_string(rest).size();
  length = rest + std::to_string(length).size();
  out += std::to_string(length);
  ((out += ' ') += key) += '=';
  (out += value) += '\n';
}

void seal(Header& header, char type) {
  header.type = type;
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  std::memset(header.checksum, ' ', sizeof header.checksum);
  unsigned sum = 0;
  for (const std::byte byte : std::as_bytes(std::span(&header, 1))) sum += std::to_integer<unsigned>(byte);
  char digits[7];
  put_octal(digits, sum);
  std::memcpy(header.checksum, digits, sizeof digits);
}

/// Fills the fields that ustar can express and returns the PAX records for the others, sorted by key.
std::string fill(Header& header, const TarEntry& entry) {
  std::vector<std::pair<std::string, std::string>> records;
  const auto number = [&](auto& field, std::uint64_t value, const char* key) {
    if (put_octal(field, value)) return;
    put_octal(field, 0);
    records.emplace_back(key, std::to_string(value));
  };
  const std::string name = entry.type == EntryType::directory ? entry.name + '/' : entry.name;
  if (!put_name(header, name)) {
    put_hint(header.name, sizeof header.name, name);
    records.emplace_back("path", name);
  }
  put_hint(header.link, sizeof header.link, entry.link_target);
  if (entry.link_target.size() > sizeof header.link || !is_ascii(entry.link_target)) {
    records.emplace_back("linkpath", entry.link_target);
  }
  put_octal(header.mode, entry.mode & 07777);
  number(header.uid, entry.uid, "uid");
  number(header.gid, entry.gid, "gid");
  number(header.size, entry.type == EntryType::file ? entry.size : 0, "size");
  if (entry.mtime_s < 0 || !put_octal(header.mtime, static_cast<std::uint64_t>(entry.mtime_s))) {
    put_octal(header.mtime, 0);
    records.emplace_back("mtime", std::to_string(entry.mtime_s));
  }
  put_octal(header.major, entry.device_major);
  put_octal(header.minor, entry.device_minor);
  for (const sys::Xattr& xattr : entry.xattrs) {
    if (xattr.name.find('=') == std::string::npos) records.emplace_back("SCHILY.xattr." + xattr.name, xattr.value);
  }
  std::sort(records.begin(), records.end());
  std::string pax;
  for (const auto& [key, value] : records) append_record(pax, key, value);
  return pax;
}

std::span<const std::byte> padding(std::uint64_t size) {
  return std::span(kZeros).first((kBlock - size % kBlock) % kBlock);
}

void write_pax(const ByteSink& sink, const std::string& pax, std::string_view name) {
  Header header{};
  const std::string hint = cat("PaxHeaders.0/", base_name(name));
  put_hint(header.name, sizeof header.name, hint);
  put_octal(header.mode, 0644);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, pax.size());
  put_octal(header.mtime, 0);
  put_octal(header.major, 0);
  put_octal(header.minor, 0);
  seal(header, 'x');
  sink(std::as_bytes(std::span(&header, 1)));
  sink(std::as_bytes(std::span(pax)));
  if (const auto zeros = padding(pax.size()); !zeros.empty()) sink(zeros);
}

}  // namespace

TarWriter::TarWriter(ByteSink sink) : sink_(std::move(sink)) {}

void TarWriter::entry(const TarEntry& entry) {
  pad();
  Header header{};
  const std::string pax = fill(header, entry);
  if (!pax.empty()) write_pax(sink_, pax, entry.name);
  seal(header, type_flag(entry.type));
  sink_(std::as_bytes(std::span(&header, 1)));
  remaining_ = entry.type == EntryType::file ? entry.size : 0;
  written_ = 0;
}

void TarWriter::data(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  data_written(bytes.size());
  sink_(bytes);
}

void TarWriter::data_written(std::uint64_t count) {
  CBUILD_CHECK(count <= remaining_);
  remaining_ -= count;
  written_ += count;
}

void TarWriter::pad() {
  CBUILD_CHECK(remaining_ == 0);
  if (const auto zeros = padding(written_); !zeros.empty()) sink_(zeros);
  written_ = 0;
}

void TarWriter::finish() {
  pad();
  sink_(kZeros);
}

}  // namespace cbuild::oci::layer
