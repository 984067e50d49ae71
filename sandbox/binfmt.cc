// SPDX-License-Identifier: Apache-2.0
// Linux Documentation/admin-guide/binfmt-misc.rst: one file a registration, with the bytes that a program begins with.
// An instance of our own is a mount that is attached nowhere: the descriptor alone keeps the registrations, so that
// they end with the build however it ends. Flag F has the kernel open the emulator at once, so that it is found from
// any root; C has set-uid programs keep their rights, O lets programs run that may not be read.
#include "sandbox/binfmt.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/kernel.h"

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

/// Null for an architecture that is not known.
const ElfKind* find_kind(std::string_view architecture) {
  const auto* kind = std::find_if(std::begin(kElfKinds), std::end(kElfKinds),
                                  [&](const ElfKind& known) { return known.architecture == architecture; });
  return kind == std::end(kElfKinds) ? nullptr : kind;
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

struct EmulatorName {
  std::string_view architecture, name;
};
constexpr EmulatorName kEmulators[] = {
    {"386", "i386"},      {"amd64", "x86_64"},        {"arm", "arm"},
    {"arm64", "aarch64"}, {"loong64", "loongarch64"}, {"mips", "mips"},
    {"mipsle", "mipsel"}, {"mips64", "mips64"},       {"mips64le", "mips64el"},
    {"ppc64", "ppc64"},   {"ppc64le", "ppc64le"},     {"riscv64", "riscv64"},
    {"s390x", "s390x"},
};
constexpr std::size_t kMaxSegments = 64;

/// Whether a program of this machine's kind asks for no loader.
bool is_static_program(const std::string& path) {
  const auto file = sys::try_open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  if (!file) return false;
  Elf64_Ehdr header;
  if (::pread(file->get(), &header, sizeof header, 0) != sizeof header) return false;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return false;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMaxSegments) return false;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const auto at = static_cast<off_t>(header.e_phoff + i * sizeof segment);
    if (::pread(file->get(), &segment, sizeof segment, at) != sizeof segment) return false;
    if (segment.p_type == PT_INTERP) return false;
  }
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

std::string escaped(const std::vector<std::uint8_t>& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += "\\x";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

[[noreturn]] void refuse_instance(const char* what, int error) {
  throw Error(ErrorCode::unsupported, cat("binfmt_misc of a user namespace: ", what, ": ", std::strerror(-error)))
      .with_hint("Linux 6.7 and later have one for each user namespace");
}

}  // namespace

/// Any OS ABI, and position-independent programs (ET_DYN) as well as others (ET_EXEC).
std::optional<ElfPattern> elf_pattern(std::string_view architecture) {
  constexpr std::size_t kAbi = 7, kType = 16;
  const ElfKind* kind = find_kind(architecture);
  if (kind == nullptr) return std::nullopt;
  ElfPattern pattern{header_of(*kind), Bytes(kHeaderSize, 0xff)};
  pattern.mask[kAbi] = 0;
  pattern.mask[kType + (kind->order == ELFDATA2MSB ? 1 : 0)] = 0xff & ~(ET_EXEC ^ ET_DYN);
  return pattern;
}

Interpreter find_interpreter(std::string_view architecture, const std::string& directory) {
  const ElfKind* kind = find_kind(architecture);
  if (kind == nullptr) return Interpreter::unknown;
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

std::vector<std::string> emulator_directories() {
  const char* path = std::getenv("PATH");
  std::vector<std::string> out;
  for (std::string& directory : split(path == nullptr ? "/usr/bin" : path, ':'))
    if (directory.starts_with('/')) out.push_back(std::move(directory));
  return out;
}

std::optional<std::string> find_emulator(std::string_view architecture, const std::vector<std::string>& directories) {
  for (const EmulatorName& emulator : kEmulators) {
    if (emulator.architecture != architecture) continue;
    for (const std::string& directory : directories)
      for (const char* suffix : {"-static", ""})
        if (const std::string path = cat(directory, "/qemu-", emulator.name, suffix); is_static_program(path))
          return path;
  }
  return std::nullopt;
}

OwnInterpreters OwnInterpreters::make() {
  const UniqueFd fs(kernel::fs_open("binfmt_misc"));
  if (fs.get() < 0) refuse_instance("open", fs.get());
  if (const int error = kernel::fs_create(fs.get()); error < 0) refuse_instance("create", error);
  const int mount = kernel::fs_mount(fs.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (mount < 0) refuse_instance("mount", mount);
  return OwnInterpreters(UniqueFd(mount));
}

void OwnInterpreters::add(std::string_view architecture, const std::string& emulator) {
  const std::optional<ElfPattern> pattern = elf_pattern(architecture);
  CBUILD_CHECK(pattern.has_value());
  const std::string line = cat(":cbuild-", architecture, ":M:0:", escaped(pattern->magic), ":", escaped(pattern->mask),
                               ":", emulator, ":OCF");
  const UniqueFd file = sys::open_at(mount_.get(), "register", O_WRONLY);
  sys::write_all(file.get(), line);
}

std::string OwnInterpreters::directory() const { return sys::fd_path(mount_.get()); }

}  // namespace cbuild::sandbox
