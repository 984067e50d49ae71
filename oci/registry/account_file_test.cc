// SPDX-License-Identifier: Apache-2.0
// Logins in docker's config.json and through credential helpers, which are shell scripts of the test.
#include "oci/registry/account_file.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/registry/credentials.h"

using namespace cbuild;
using namespace cbuild::oci::registry;

namespace {

struct AccountFixture {
  AccountFixture() : old_path(::getenv("PATH")) { ::setenv("PATH", (dir.path() + ":" + old_path).c_str(), 1); }
  ~AccountFixture() { ::setenv("PATH", old_path.c_str(), 1); }

  std::string text() { return sys::read_file_at(dir.fd(), "c/config.json", 1u << 20); }
  void write(const std::string& text) {
    sys::mkdir_all(dir.fd(), "c", 0755);
    sys::write_file_at(dir.fd(), "c/config.json", text);
  }
  /// The account that a build would use.
  std::string found(const std::string& registry, const std::string& repository = "app") {
    CredentialStore store({{file}, true, std::nullopt}, nullptr);
    const auto account = store.find(registry, repository);
    return account ? account->credentials.user + ":" + account->credentials.password : "-";
  }
  /// Notes what it is asked, and answers with `script`.
  void write_helper(const std::string& name, const std::string& script) {
    const std::string path = "docker-credential-" + name;
    sys::write_file_at(
        dir.fd(), path,
        cat("#!/bin/sh\necho \"$1\" >> ", dir.path(), "/calls\ntee -a ", dir.path(), "/input\n", script));
    ::fchmodat(dir.fd(), path.c_str(), 0755, 0);
  }
  std::string noted(const std::string& name) { return sys::read_file_at(dir.fd(), name, 1u << 20); }
  ErrorCode failure(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  }

  TempDir dir = TempDir::in_tmp("account-file");
  const std::string old_path;
  const std::string file = dir.path() + "/c/config.json";
};

}  // namespace

TEST_CASE_FIXTURE(AccountFixture, "a login makes the file, for its owner only") {
  const AccountPlace place = store_account(file, "localhost:5000", {"me", "pass:word", {}});
  CHECK(place.name == file);
  CHECK(place.plain);
  CHECK(text() ==
        "{\n\t\"auths\": {\n\t\t\"localhost:5000\": {\n\t\t\t\"auth\": \"bWU6cGFzczp3b3Jk\"\n\t\t}\n\t}\n}\n");
  CHECK((sys::stat_at(dir.fd(), "c/config.json").st_mode & 07777) == 0600);
  CHECK((sys::stat_at(dir.fd(), "c").st_mode & 07777) == 0700);
  CHECK(found("localhost:5000") == "me:pass:word");
  CHECK(sys::list_dir(sys::open_at(dir.fd(), "c", O_RDONLY | O_DIRECTORY).get()).size() == 1);
}

TEST_CASE_FIXTURE(AccountFixture, "a login keeps the rest of the file and replaces every spelling of its registry") {
  write(
      R"({"psFormat":"x","auths":{"https://index.docker.io/v1/":{"auth":"b2xkOm9sZA=="},"docker.io":{"auth":"b2xkOm9sZA=="},
            "other.test":{"auth":"YTpi"}},"currentContext":"far"})");
  store_account(file, "docker.io", {"me", "new", {}});
  CHECK(text() ==
        "{\n\t\"psFormat\": \"x\",\n\t\"auths\": {\n\t\t\"other.test\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t},\n"
        "\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"bWU6bmV3\"\n\t\t}\n\t},\n\t\"currentContext\": "
        "\"far\"\n}\n");
  CHECK(found("docker.io", "library/app") == "me:new");
  CHECK(erase_account(file, "docker.io"));
  CHECK(found("docker.io", "library/app") == "-");
  CHECK(found("other.test") == "a:b");
  CHECK_FALSE(erase_account(file, "docker.io"));
}

TEST_CASE_FIXTURE(AccountFixture, "a login for a part of a registry") {
  store_account(file, "host.test", {"all", "1", {}});
  store_account(file, "host.test/team", {"team", "2", {}});
  CHECK(found("host.test", "team/app") == "team:2");
  CHECK(found("host.test", "other/app") == "all:1");
}

TEST_CASE_FIXTURE(AccountFixture, "a link stays, and the file behind it is written") {
  sys::mkdir_all(dir.fd(), "real", 0755);
  sys::mkdir_all(dir.fd(), "c", 0755);
  sys::write_file_at(dir.fd(), "real/there.json", "");
  REQUIRE(::symlinkat("../real/there.json", dir.fd(), "c/config.json") == 0);
  store_account(file, "host.test", {"me", "1", {}});
  CHECK(S_ISLNK(sys::stat_at(dir.fd(), "c/config.json").st_mode));
  CHECK((sys::stat_at(dir.fd(), "real/there.json").st_mode & 07777) == 0600);
  CHECK(found("host.test") == "me:1");
}

TEST_CASE_FIXTURE(AccountFixture, "a file that is not such JSON is refused and stays") {
  for (const char* wrong : {"[]", "{", R"({"auths":[]})", R"({"credsStore":1})"}) {
    write(wrong);
    CHECK(failure([&] { store_account(file, "host.test", {"me", "1", {}}); }) == ErrorCode::input);
    CHECK(failure([&] { erase_account(file, "host.test"); }) == ErrorCode::input);
    CHECK(text() == wrong);
  }
  CHECK_FALSE(erase_account(dir.path() + "/missing.json", "host.test"));
}

TEST_CASE_FIXTURE(AccountFixture, "a helper gets the account, and the file none of it") {
  write_helper("main", "");
  write_helper("special", "");
  write(R"({"credsStore":"main","credHelpers":{"special.test":"special"}})");
  const AccountPlace place = store_account(file, "docker.io", {"me", "secret-1", {}});
  CHECK(place.name == "docker-credential-main");
  CHECK_FALSE(place.plain);
  CHECK(noted("input") == R"({"ServerURL":"https://index.docker.io/v1/","Username":"me","Secret":"secret-1"})");
  CHECK(text().find("\"https://index.docker.io/v1/\": {}") != std::string::npos);
  CHECK(store_account(file, "special.test", {"me", "secret-2", {}}).name == "docker-credential-special");
  CHECK(erase_account(file, "special.test"));
  CHECK(noted("calls") == "store\nstore\nerase\n");
  CHECK(text().find("secret") == std::string::npos);
  CHECK(text().find("auth\"") == std::string::npos);
}

TEST_CASE_FIXTURE(AccountFixture, "a helper that fails or is missing") {
  write(R"({"credsStore":"broken"})");
  CHECK(failure([&] { store_account(file, "host.test", {"me", "1", {}}); }) == ErrorCode::not_found);
  write_helper("broken", "echo no keyring >&2; exit 1");
  CHECK(failure([&] { store_account(file, "host.test", {"me", "1", {}}); }) == ErrorCode::denied);
  CHECK(failure([&] { erase_account(file, "host.test"); }) == ErrorCode::denied);
  CHECK(text() == R"({"credsStore":"broken"})");
  write_helper("broken", "echo credentials not found in native keychain; exit 1");
  CHECK_FALSE(erase_account(file, "host.test"));
}

TEST_CASE_FIXTURE(AccountFixture, "logins at once do not lose each other") {
  run_at_once(16, 8, [&](std::size_t i) { store_account(file, cat("host", i, ".test"), {"me", cat(i), {}}); });
  for (int i = 0; i < 16; ++i) CHECK(found(cat("host", i, ".test")) == cat("me:", i));
}
