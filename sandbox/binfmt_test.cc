// SPDX-License-Identifier: Apache-2.0
#include "sandbox/binfmt.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"
#include "sandbox/run_fixture.h"

namespace cbuild::sandbox {
namespace {

/// Debian's qemu-user-static.
constexpr const char* kArm64 =
    "offset 0\nmagic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
constexpr const char* kS390x =
    "offset 0\nmagic 7f454c4602020100000000000000000000020016\nmask ffffffffffffff00fffffffffffffffffffeffff\n";

struct Registrations {
  TempDir directory = TempDir::in_tmp("binfmt-test-");
  void add(const std::string& name, const std::string& text) const {
    std::ofstream(cat(directory.path(), "/", name)) << text;
  }
  void add(const std::string& name, const std::string& state, const std::string& flags, const char* rest) const {
    add(name, cat(state, "\ninterpreter /usr/libexec/qemu\nflags: ", flags, "\n", rest));
  }
  Interpreter find(const std::string& architecture) const { return find_interpreter(architecture, directory.path()); }
};

using testing::in_child;

/// A program with one segment of that kind; only its headers count.
std::string program(std::uint32_t segment) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr entry = {};
  entry.p_type = segment;
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
         std::string(reinterpret_cast<const char*>(&entry), sizeof entry);
}

void write_program(const std::string& path, const std::string& content) {
  sys::write_file_at(AT_FDCWD, path, content);
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
}

std::string first_bytes(std::string_view architecture) {
  const std::vector<std::uint8_t> magic = elf_pattern(architecture)->magic;
  return {magic.begin(), magic.end()};
}

TEST_CASE("an interpreter is found by its registered magic, whatever its name") {
  const Registrations r;
  r.add("status", "enabled\n");
  r.add("register", "");
  CHECK(r.find("arm64") == Interpreter::none);
  r.add("some-name", "enabled", "POCF", kArm64);
  CHECK(r.find("arm64") == Interpreter::present);
  for (const char* other : {"arm", "amd64", "s390x", "riscv64"}) CHECK(r.find(other) == Interpreter::none);
  r.add("big", "enabled", "F", kS390x);
  CHECK(r.find("s390x") == Interpreter::present);
}

TEST_CASE("an interpreter that is registered by its path has to be inside; the better of two counts") {
  const Registrations r;
  r.add("status", "enabled\n");
  r.add("a", "enabled", "", kArm64);
  CHECK(r.find("arm64") == Interpreter::inside);
  r.add("b", "enabled", "F", kArm64);
  CHECK(r.find("arm64") == Interpreter::present);
}

TEST_CASE("a registration that is switched off starts nothing") {
  const Registrations r;
  r.add("status", "enabled\n");
  r.add("a", "disabled", "F", kArm64);
  CHECK(r.find("arm64") == Interpreter::none);
  r.add("a", "enabled", "F", kArm64);
  r.add("status", "disabled\n");
  CHECK(r.find("arm64") == Interpreter::none);
}

TEST_CASE("registrations of other kinds, and broken ones, are passed over") {
  const Registrations r;
  r.add("status", "enabled\n");
  for (const char* rest : {"extension .jar\n", "offset 0\nmagic 7f4\n", "offset 0\nmagic zz\n", "offset 0\nmagic \n",
                           "offset 4\nmagic 02010100\n", "offset 0\nmagic 7f45\nmask ff\n"}) {
    r.add("a", "enabled", "F", rest);
    CHECK(r.find("arm64") == Interpreter::none);
  }
  r.add("a", "");
  CHECK(r.find("arm64") == Interpreter::none);
}

TEST_CASE("where nothing can be seen nothing is said") {
  const Registrations r;
  CHECK(r.find("arm64") == Interpreter::unknown);  // not mounted: no status
  CHECK(find_interpreter("arm64", cat(r.directory.path(), "/none")) == Interpreter::unknown);
  r.add("status", "enabled\n");
  CHECK(r.find("pdp11") == Interpreter::unknown);
}

TEST_CASE("an architecture that the CPU runs too needs no interpreter") {
  CHECK(is_foreign("arm64", "amd64"));
  CHECK(is_foreign("amd64", "386"));
  CHECK_FALSE(is_foreign("amd64", "amd64"));
  CHECK_FALSE(is_foreign("386", "amd64"));
  CHECK_FALSE(is_foreign("arm", "arm64"));
}

TEST_CASE("an emulator is a static program of qemu's name for the architecture") {
  const TempDir first = TempDir::in_tmp("emulators-"), second = TempDir::in_tmp("emulators-");
  const std::vector<std::string> places = {first.path(), second.path()};
  CHECK_FALSE(find_emulator("arm64", places));
  write_program(first.path() + "/qemu-aarch64", program(PT_INTERP));  // its loader is not in the step's root
  write_program(first.path() + "/qemu-aarch64-static", "#!/bin/sh\n");
  CHECK_FALSE(find_emulator("arm64", places));
  write_program(second.path() + "/qemu-aarch64", program(PT_LOAD));
  CHECK(find_emulator("arm64", places) == second.path() + "/qemu-aarch64");
  write_program(second.path() + "/qemu-aarch64-static", program(PT_LOAD));
  CHECK(find_emulator("arm64", places) == second.path() + "/qemu-aarch64-static");
  CHECK_FALSE(find_emulator("s390x", places));
  CHECK_FALSE(find_emulator("vax", places));
}

TEST_CASE("a pattern takes programs of any ABI and placement, of one architecture and order") {
  const auto pattern = elf_pattern("ppc64le");
  REQUIRE(pattern);
  CHECK(pattern->magic.size() == pattern->mask.size());
  CHECK(pattern->mask[7] == 0);
  CHECK(pattern->mask[16] == 0xfe);
  CHECK(elf_pattern("ppc64")->mask[17] == 0xfe);
  CHECK(elf_pattern("ppc64")->magic != pattern->magic);
  CHECK_FALSE(elf_pattern("vax"));
}

TEST_CASE("a registration holds in the user namespace that made it, and as long as it is held") {
  const TempDir dir = TempDir::in_tmp("emulators-");
  const std::string foreign = dir.path() + "/program";
  write_program(foreign, first_bytes("s390x") + std::string(100, '\0'));
  const std::string seen = in_child([&]() -> std::string {
    const std::string users = cat("0 ", ::geteuid(), " 1"), groups = cat("0 ", ::getegid(), " 1");
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return "no namespace";
    try {
      const std::pair<const char*, std::string> maps[] = {
          {"uid_map", users}, {"setgroups", "deny"}, {"gid_map", groups}};
      for (const auto& [name, text] : maps)
        sys::write_all(sys::open_at(AT_FDCWD, cat("/proc/self/", name), O_WRONLY).get(), text);
      std::string out;
      {
        OwnInterpreters own = OwnInterpreters::make();
        own.add("s390x", "/bin/echo");  // it gets the path of the program
        out = run_command(std::vector<std::string>{foreign}, CommandOptions{}).out;
        const bool only = find_interpreter("s390x", own.directory()) == Interpreter::present &&
                          find_interpreter("arm64", own.directory()) == Interpreter::none;
        out += only ? "only that" : "not only that";
      }
      const OwnInterpreters next = OwnInterpreters::make();
      return out + (find_interpreter("s390x", next.directory()) == Interpreter::none ? ", gone" : ", still there");
    } catch (const Error& error) {
      return error.what();
    }
  });
  const bool possible = seen != "no namespace" && seen.find("binfmt_misc of a user namespace") == std::string::npos;
  if (!test::can_run(possible, "binfmt_misc of a user namespace (Linux 6.7)")) return;
  CHECK(seen == cat(foreign, "\nonly that, gone"));
}

}  // namespace
}  // namespace cbuild::sandbox
