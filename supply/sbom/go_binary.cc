// SPDX-License-Identifier: Apache-2.0
// The section ".go.buildinfo" (debug/buildinfo of Go): 14 bytes of magic, the size of a pointer, flags, filled up to 32
// bytes; then, if the flags say so, two strings with their lengths as varints: Go's version, and the text that
// `go version -m` prints, between two marks of 16 bytes.
#include "supply/sbom/go_binary.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace cbuild::supply {
namespace {

constexpr std::string_view kElfMagic =
                               "\x7f"
                               "ELF",
                           kGoMagic = "\xff Go buildinf:";
constexpr std::size_t kElfHeader = 64, kMostSections = 10'000, kMostNames = 1u << 20, kMostInfo = 16u << 20;
constexpr std::size_t kInfoHeader = 32, kMark = 16;
constexpr unsigned kInlineStrings = 2;

/// Numbers of an ELF file, of its class and byte order.
class Elf {
 public:
  explicit Elf(std::string_view header) : wide_(header[4] == 2), big_(header[5] == 2) {}

  bool wide() const { return wide_; }
  std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) const {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < size && at + i < bytes.size(); ++i) {
      const std::size_t place = at + (big_ ? i : size - 1 - i);
      out = out << 8 | (place < bytes.size() ? static_cast<unsigned char>(bytes[place]) : 0u);
    }
    return out;
  }

 private:
  const bool wide_, big_;
};

struct ElfSection {
  std::uint64_t name = 0, offset = 0, size = 0;
};

std::vector<ElfSection> sections_of(const Elf& elf, std::string_view header, const ReadPart& read) {
  const std::uint64_t table = elf.number(header, elf.wide() ? 40 : 32, elf.wide() ? 8 : 4);
  const std::uint64_t each = elf.number(header, elf.wide() ? 58 : 46, 2),
                      count = elf.number(header, elf.wide() ? 60 : 48, 2);
  const std::size_t least = elf.wide() ? 64 : 40;
  if (table == 0 || each < least || each > 4 * least || count > kMostSections) return {};
  const std::string text = read(table, static_cast<std::size_t>(each * count));
  std::vector<ElfSection> out;
  for (std::size_t at = 0; at + least <= text.size(); at += static_cast<std::size_t>(each))
    out.push_back({elf.number(text, at, 4), elf.number(text, at + (elf.wide() ? 24 : 16), elf.wide() ? 8 : 4),
                   elf.number(text, at + (elf.wide() ? 32 : 20), elf.wide() ? 8 : 4)});
  return out;
}

/// The content of the section; empty if there is none.
std::string build_info_of(const ReadPart& read) {
  const std::string header = read(0, kElfHeader);
  if (header.size() < kElfHeader || !header.starts_with(kElfMagic)) return {};
  const Elf elf(header);
  const std::vector<ElfSection> sections = sections_of(elf, header, read);
  const std::uint64_t names_at = elf.number(header, elf.wide() ? 62 : 50, 2);
  if (names_at >= sections.size()) return {};
  const ElfSection& names = sections[static_cast<std::size_t>(names_at)];
  const std::string text =
      read(names.offset, static_cast<std::size_t>(std::min<std::uint64_t>(names.size, kMostNames)));
  for (const ElfSection& section : sections) {
    if (section.name >= text.size() || std::string_view(text.c_str() + section.name) != ".go.buildinfo") continue;
    return read(section.offset, static_cast<std::size_t>(std::min<std::uint64_t>(section.size, kMostInfo)));
  }
  return {};
}

/// The next string behind its length; nullopt past the end.
std::optional<std::string_view> next_string(std::string_view& rest) {
  std::uint64_t size = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (rest.empty() || shift > 56) return std::nullopt;
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    size |= std::uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (size > rest.size()) return std::nullopt;
  const std::string_view out = rest.substr(0, static_cast<std::size_t>(size));
  rest.remove_prefix(out.size());
  return out;
}

/// "mod", "dep" and "=>" lines: the kind, the module's path, its version, its sum.
std::vector<Package> modules_of(std::string_view text) {
  std::vector<Package> out;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = split(line, '\t');
    if (words.size() < 2 || words[1].empty()) continue;
    const std::string version = words.size() > 2 ? words[2] : std::string();
    if (words[0] == "=>" && !out.empty()) out.back() = go_module(words[1], version);
    if (words[0] == "mod" || words[0] == "dep") out.push_back(go_module(words[1], version));
  }
  return out;
}

}  // namespace

Package go_module(std::string_view path, std::string_view version) {
  const std::size_t slash = path.rfind('/');
  const bool flat = slash == std::string_view::npos;
  Package out;
  out.type = "golang";
  if (!flat) out.name_space = path.substr(0, slash);
  out.name = flat ? path : path.substr(slash + 1);
  out.version = version;
  return out;
}

std::vector<Package> parse_go_binary(const ReadPart& read) {
  const std::string info = build_info_of(read);
  if (info.size() < kInfoHeader || !info.starts_with(kGoMagic)) return {};
  if ((static_cast<unsigned char>(info[15]) & kInlineStrings) == 0) return {};  // of Go before 1.18
  std::string_view rest = std::string_view(info).substr(kInfoHeader);
  const auto version = next_string(rest);
  const auto modules = next_string(rest);
  if (!version) return {};
  std::vector<Package> out;
  if (modules && modules->size() > 2 * kMark) out = modules_of(modules->substr(kMark, modules->size() - 2 * kMark));
  if (version->starts_with("go")) out.push_back(go_module("stdlib", version->substr(2, version->find(' ') - 2)));
  return out;
}

}  // namespace cbuild::supply
