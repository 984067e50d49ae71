// SPDX-License-Identifier: Apache-2.0
// Linux Documentation/admin-guide/binfmt-misc.rst: one file a registration, with the bytes that a program begins with.
#include "sandbox/binfmt.h"

#include <elf.h>
#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sandbox {
namespace {

constexpr std::size_t kMaxFile = 4096, kMaxEntries = 1000, kHeaderSize = 20;

struct ElfKind {
  std::string_view architecture;
  std::uint8_t bits, order;
  std::uint16_t machine;
};
constexpr ElfKind kElfKinds[] = {
    {"386", ELFCLASS32, ELFDATA2LSB, EM_386},       {"amd64", ELFCLASS64, ELFDATA2LSB, EM_X86_64},
    {"arm", ELFCLASS32, ELFDATA2LSB, EM_ARM},       {"arm64", ELFCLASS64, ELFDATA2LSB, EM_AARCH64},
    {"loong64", ELFCLASS64, ELFDATA2LSB, 258},      {"mips", ELFCLASS32, ELFDATA2MSB, EM_MIPS},
    {"mipsle", ELFCLASS32, ELFDATA2LSB, EM_MIPS},   {"mips64", ELFCLASS64, ELFDATA2MSB, EM_MIPS},
    {"mips64le", ELFCLASS64, ELFDATA2LSB, EM_MIPS}, {"ppc64", ELFCLASS64, ELFDATA2MSB, EM_PPC64},
    {"ppc64le", ELFCLASS64, ELFDATA2LSB, EM_PPC64}, {"riscv64", ELFCLASS64, ELFDATA2LSB, EM_RISCV},
    {"s390x", ELFCLASS64, ELFDATA2MSB, EM_S390},
};

using Bytes = std::vector<std::uint8_t>;

/// The beginning of a program of that kind.
Bytes header_of(const ElfKind& kind) {
  Bytes header(kHeaderSize, 0);
  const std::uint8_t ident[] = {0x7f, 'E', 'L', 'F', kind.bits, kind.order, EV_CURRENT};
  std::copy(std::begin(ident), std::end(ident), header.begin());
  const bool big = kind.order == ELFDATA2MSB;
  const auto put = [&](std::size_t at, unsigned value) {
    header[at + (big ? 1 : 0)] = static_cast<std::uint8_t>(value & 0xff);
    header[at + (big ? 0 : 1)] = static_cast<std::uint8_t>(value >> 8);
  };
  put(16, ET_EXEC);
  put(18, kind.machine);
  return header;
}

std::optional<Bytes> parse_hex(std::string_view text) {
  const auto digit = [](char c) { return std::string_view("0123456789abcdef").find(c); };
  Bytes out;
  if (text.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = digit(text[i]), low = digit(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

/// The value of a registration's line `name`; empty if it has no such line.
std::string value_of(const std::vector<std::string>& lines, std::string_view name) {
  for (const std::string& line : lines)
    if (line.starts_with(name)) return std::string(trim(std::string_view(line).substr(name.size())));
  return {};
}

Interpreter match(const std::string& text, const Bytes& header) {
  const std::vector<std::string> lines = split(text, '\n');
  const std::optional<Bytes> magic = parse_hex(value_of(lines, "magic "));
  const std::string mask_text = value_of(lines, "mask ");
  const std::optional<Bytes> mask = mask_text.empty() && magic ? Bytes(magic->size(), 0xff) : parse_hex(mask_text);
  const bool whole =
      magic && mask && !magic->empty() && mask->size() == magic->size() && magic->size() <= header.size();
  if (lines.front() != "enabled" || value_of(lines, "offset ") != "0" || !whole) return Interpreter::none;
  for (std::size_t i = 0; i < magic->size(); ++i)
    if (((header[i] ^ (*magic)[i]) & (*mask)[i]) != 0) return Interpreter::none;
  const bool opened_already = value_of(lines, "flags:").find('F') != std::string::npos;
  return opened_already ? Interpreter::present : Interpreter::inside;
}

Interpreter look(const std::string& directory, const Bytes& header) {
  const UniqueFd open(sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY));
  const std::vector<std::string> names = sys::list_dir(open.get());
  if (std::find(names.begin(), names.end(), "status") == names.end()) return Interpreter::unknown;
  if (trim(sys::read_file_at(open.get(), "status", kMaxFile)) != "enabled") return Interpreter::none;
  Interpreter best = Interpreter::none;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxEntries); ++i) {
    if (names[i] == "register" || names[i] == "status") continue;
    best = std::max(best, match(sys::read_file_at(open.get(), names[i], kMaxFile), header));
  }
  return best;
}

}  // namespace

Interpreter find_interpreter(std::string_view architecture, const std::string& directory) {
  const auto* kind = std::find_if(std::begin(kElfKinds), std::end(kElfKinds),
                                  [&](const ElfKind& known) { return known.architecture == architecture; });
  if (kind == std::end(kElfKinds)) return Interpreter::unknown;
  try {
    return look(directory, header_of(*kind));
  } catch (const Error&) {
    return Interpreter::unknown;
  }
}

bool is_foreign(std::string_view architecture, std::string_view host) {
  const bool smaller = (host == "amd64" && architecture == "386") || (host == "arm64" && architecture == "arm");
  return architecture != host && !smaller;
}

std::string interpreter_advice(std::string_view architecture) {
  return cat("install qemu-user-static (Debian, Ubuntu, Fedora), or run docker run --privileged --rm ",
             "tonistiigi/binfmt --install ", architecture);
}

}  // namespace cbuild::sandbox
