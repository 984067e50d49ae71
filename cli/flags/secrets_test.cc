// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/secrets.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "cli/flags/options.h"

namespace cbuild::cli {
namespace {

engine::Secret parse(const std::string& text) {
  const auto line = parse_build_line({"--secret", text, "."});
  REQUIRE(line.has_value());
  REQUIRE(line->request.steps.secrets.size() == 1);
  return line->request.steps.secrets[0];
}

/// A variable for as long as the test runs.
struct Variable {
  explicit Variable(const char* name) : name_(name) { ::setenv(name, "from the environment", 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("where the value of a secret comes from") {
  const TempDir dir = TempDir::in_tmp("cbuild-secrets-");
  const std::string file = dir.path() + "/CBUILD_TEST_WORD";
  sys::write_file_at(AT_FDCWD, file, "from a file");
  const Variable variable("CBUILD_TEST_WORD");
  CHECK(parse("id=a,src=" + file).read() == "from a file");
  CHECK(parse("id=a,source=" + file).read() == "from a file");
  CHECK(parse("id=a,type=file,src=" + file).read() == "from a file");
  CHECK(parse("id=a,env=CBUILD_TEST_WORD").read() == "from the environment");
  CHECK(parse("id=a,type=env,env=CBUILD_TEST_WORD").read() == "from the environment");
  CHECK(parse("type=env,id=a,src=CBUILD_TEST_WORD").read() == "from the environment");
  CHECK(parse("id=CBUILD_TEST_WORD").read() == "from the environment");
  CHECK(parse("id=CBUILD_TEST_WORD,type=env").read() == "from the environment");
}

TEST_CASE("a secret without a value is an error that names the variable") {
  try {
    (void)read_secret({.id = "a", .file = {}, .env = "CBUILD_TEST_UNSET"});
    FAIL("it has a value");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(std::string(error.what()).find("CBUILD_TEST_UNSET is not set") != std::string::npos);
  }
}

}  // namespace cbuild::cli
