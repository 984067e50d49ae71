// SPDX-License-Identifier: Apache-2.0
#include "sandbox/binfmt.h"

#include <doctest/doctest.h>

#include <fstream>

#include "base/files.h"
#include "base/text.h"

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

}  // namespace
}  // namespace cbuild::sandbox
