// SPDX-License-Identifier: Apache-2.0
// Which account is found in the files of docker and podman; helper programs are shell scripts of the test.
#include "oci/registry/credentials.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::oci::registry;

namespace {

/// Environment variables for one test; put back afterwards.
class Environment {
 public:
  ~Environment() {
    for (const auto& [name, value] : saved_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  void set(const std::string& name, const std::string& value) {
    const char* old = ::getenv(name.c_str());
    saved_.emplace(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    if (value.empty()) {
      ::unsetenv(name.c_str());
    } else {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> saved_;
};

struct CredentialsFixture {
  CredentialsFixture() {
    for (const char* name : {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"}) environment.set(name, "");
    environment.set("HOME", dir.path() + "/home");
    environment.set("XDG_RUNTIME_DIR", dir.path() + "/run");
  }

  void write(const std::string& name, const std::string& text) {
    sys::mkdir_all(dir.fd(), dir_name(name), 0755);
    sys::write_file_at(dir.fd(), name, text);
  }

  void write_helper(const std::string& name, const std::string& script) {
    write("bin/docker-credential-" + name, "#!/bin/sh\n" + script);
    ::fchmodat(dir.fd(), ("bin/docker-credential-" + name).c_str(), 0755, 0);
    environment.set("PATH", dir.path() + "/bin:/usr/bin:/bin");
  }

  std::optional<Account> find(const std::string& registry, const std::string& repository = "app") {
    CredentialStore store(CredentialStore::places(std::nullopt), [this](const std::string& line) { warning = line; });
    return store.find(registry, repository);
  }

  std::string user(const std::string& registry, const std::string& repository = "app") {
    const auto account = find(registry, repository);
    return account ? account->credentials.user + ":" + account->credentials.password : "-";
  }

  ErrorCode failure(const std::string& registry, std::string* what = nullptr) {
    try {
      find(registry);
    } catch (const Error& e) {
      if (what != nullptr) *what = e.what();
      return e.code();
    }
    return ErrorCode::internal;
  }

  Environment environment;
  TempDir dir = TempDir::in_tmp("credentials");
  std::string warning;
};

std::string auths(const std::string& registry, const std::string& user) {
  return cat(R"({"auths":{")", registry, R"(":{"auth":")", base64_encode(user + ":pw"), R"("}}})");
}

constexpr char kDocker[] = "home/.docker/config.json";

}  // namespace

TEST_CASE_FIXTURE(CredentialsFixture, "no file: no account") {
  CHECK(user("r.io") == "-");
  const auto places = CredentialStore::places(std::nullopt);
  CHECK(places.files ==
        std::vector<std::string>{dir.path() + "/home/.docker/config.json", dir.path() + "/run/containers/auth.json",
                                 dir.path() + "/home/.config/containers/auth.json", dir.path() + "/home/.dockercfg"});
}

TEST_CASE_FIXTURE(CredentialsFixture, "the first file that knows the registry wins") {
  write("home/.config/containers/auth.json", auths("r.io", "config"));
  CHECK(user("r.io") == "config:pw");
  write("run/containers/auth.json", auths("r.io", "runtime"));
  CHECK(user("r.io") == "runtime:pw");
  write(kDocker, auths("other.io", "docker"));
  CHECK(user("r.io") == "runtime:pw");
  write(kDocker, auths("r.io", "docker"));
  CHECK(user("r.io") == "docker:pw");
  environment.set("DOCKER_CONFIG", dir.path() + "/dc");
  CHECK(user("r.io") == "runtime:pw");
  write("dc/config.json", auths("r.io", "dc"));
  CHECK(user("r.io") == "dc:pw");
  write("explicit.json", auths("r.io", "env"));
  environment.set("REGISTRY_AUTH_FILE", dir.path() + "/explicit.json");
  CHECK(user("r.io") == "env:pw");
  CHECK(find("r.io")->source == dir.path() + "/explicit.json");
}

TEST_CASE_FIXTURE(CredentialsFixture, "a file named by the user is the only one and must exist") {
  write(kDocker, auths("r.io", "docker"));
  CredentialStore store(CredentialStore::places(dir.path() + "/none.json"), nullptr);
  CHECK_THROWS_AS(store.find("r.io", "x"), Error);
  write("empty.json", "");
  CredentialStore empty(CredentialStore::places(dir.path() + "/empty.json"), nullptr);
  CHECK_FALSE(empty.find("r.io", "x"));
}

TEST_CASE_FIXTURE(CredentialsFixture, "keys with schemes, versions and paths") {
  for (const char* key : {"r.io", "https://r.io", "http://R.io/", "https://r.io/v1/", "r.io/v2/"}) {
    CAPTURE(key);
    write(kDocker, auths(key, "u"));
    CHECK(user("r.io") == "u:pw");
  }
  write(kDocker, auths("r.io:5000", "u"));
  CHECK(user("r.io") == "-");
  CHECK(user("r.io:5000") == "u:pw");
}

TEST_CASE_FIXTURE(CredentialsFixture, "Docker Hub's names are one") {
  for (const char* key : {"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"}) {
    CAPTURE(key);
    write(kDocker, auths(key, "hub"));
    CHECK(user("docker.io", "library/busybox") == "hub:pw");
  }
}

TEST_CASE_FIXTURE(CredentialsFixture, "the longest path wins") {
  write(kDocker, cat(R"({"auths":{"r.io":{"username":"host","password":"p"},"r.io/a":{"username":"a","password":"p"},)",
                     R"("r.io/a/b":{"username":"ab","password":"p"},"r.io/ab":{"username":"x","password":"p"}}})"));
  CHECK(user("r.io", "a/b") == "ab:p");
  CHECK(user("r.io", "a/c") == "a:p");
  CHECK(user("r.io", "c") == "host:p");
  CHECK(user("r.io", "a") == "a:p");
}

TEST_CASE_FIXTURE(CredentialsFixture, "tokens and passwords with colons") {
  write(kDocker, cat(R"({"auths":{"a.io":{"auth":")", base64_encode("u:p:q"), R"("},"b.io":{"identitytoken":"idt"},)",
                     R"("c.io":{"registrytoken":"rt"},"d.io":{},"e.io":{"auth":""}}})"));
  CHECK(user("a.io") == "u:p:q");
  CHECK(find("b.io")->credentials.identity_token == "idt");
  CHECK(find("c.io")->registry_token == "rt");
  CHECK_FALSE(find("d.io"));
  CHECK_FALSE(find("e.io"));
}

TEST_CASE_FIXTURE(CredentialsFixture, "the old .dockercfg") {
  write("home/.dockercfg", cat(R"({"https://index.docker.io/v1/":{"auth":")", base64_encode("old:pw"), R"("}})"));
  CHECK(user("docker.io") == "old:pw");
}

TEST_CASE_FIXTURE(CredentialsFixture, "helpers: credHelpers before auths before credsStore") {
  write_helper("one",
               "read server; echo "
               "\"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"one@$server\\\",\\\"Secret\\\":"
               "\\\"s\\\"}\"");
  write_helper("two", "read server; echo \"{\\\"Username\\\":\\\"two@$server\\\",\\\"Secret\\\":\\\"s\\\"}\"");
  write(kDocker, cat(R"({"credsStore":"two","credHelpers":{"a.io":"one","docker.io":"one"},"auths":{"a.io":{},)",
                     R"("b.io":{"username":"file","password":"p"},"c.io":{}}})"));
  CHECK(user("a.io") == "one@a.io:s");
  CHECK(user("b.io") == "file:p");
  CHECK(user("c.io") == "two@c.io:s");
  CHECK(user("d.io") == "two@d.io:s");
  CHECK(user("docker.io") == "one@https://index.docker.io/v1/:s");
  CHECK(find("a.io")->source == "docker-credential-one");
}

TEST_CASE_FIXTURE(CredentialsFixture, "an identity token from a helper") {
  write_helper("tok", R"(echo '{"Username":"<token>","Secret":"secret-idt"}')");
  write(kDocker, R"({"credsStore":"tok"})");
  const auto account = find("r.io");
  REQUIRE(account);
  CHECK(account->credentials.user.empty());
  CHECK(account->credentials.identity_token == "secret-idt");
}

TEST_CASE_FIXTURE(CredentialsFixture, "helpers that know nothing, fail, or are missing") {
  write_helper("none", "echo credentials not found in native keychain; exit 1");
  write(kDocker, R"({"credsStore":"none"})");
  CHECK_FALSE(find("r.io"));
  write_helper("bad", "echo keychain is locked >&2; exit 3");
  write(kDocker, R"({"credsStore":"bad"})");
  std::string what;
  CHECK(failure("r.io", &what) == ErrorCode::denied);
  CHECK(what.find("keychain is locked") != std::string::npos);
  CHECK(what.find("exit code 3") != std::string::npos);
  write(kDocker, R"({"credsStore":"missing"})");
  CHECK_FALSE(find("r.io"));
  CHECK(warning.find("docker-credential-missing is not installed") != std::string::npos);
  write(kDocker, R"({"credHelpers":{"r.io":"missing"}})");
  CHECK(failure("r.io") == ErrorCode::not_found);
  write_helper("garbage", "echo nonsense");
  write(kDocker, R"({"credsStore":"garbage"})");
  CHECK(failure("r.io") == ErrorCode::input);
}

TEST_CASE_FIXTURE(CredentialsFixture,
                  "the helpers of registries.conf are asked in their order, the files where it says") {
  write_helper(
      "one",
      R"(read server; [ "$server" = r.io ] && echo '{"Username":"one","Secret":"1"}' || { echo credentials not found in native keychain; exit 1; })");
  write_helper("two", R"(echo '{"Username":"two","Secret":"2"}')");
  write(kDocker, R"({"auths":{"r.io":{"username":"file","password":"f"},"q.io":{"username":"file","password":"q"}}})");
  std::vector<std::string> helpers;
  const auto user_by = [&](const std::string& registry, const std::optional<std::string>& file = std::nullopt) {
    CredentialStore::Places places = CredentialStore::places(file);
    places.helpers = [&] { return helpers; };
    const auto account =
        CredentialStore(places, [&](const std::string& line) { warning = line; }).find(registry, "app");
    return account ? account->credentials.user : "-";
  };
  CHECK(user_by("r.io") == "file");
  helpers = {"one", "containers-auth.json", "two"};
  CHECK(user_by("r.io") == "one");
  CHECK(user_by("q.io") == "file");
  CHECK(user_by("s.io") == "two");
  CHECK(user_by("r.io", dir.path() + "/" + kDocker) == "file");
  helpers = {"one"};
  CHECK(user_by("q.io") == "-");
  helpers = {"missing", "two"};
  CHECK(user_by("q.io") == "two");
  CHECK(warning.find("docker-credential-missing is not installed") != std::string::npos);
  CredentialStore::Places places = CredentialStore::places(std::nullopt);
  places.helpers = [] { return std::vector<std::string>{"one", "containers-auth.json"}; };
  CHECK(CredentialStore(places, nullptr).searched().starts_with("docker-credential-one, "));
}

TEST_CASE_FIXTURE(CredentialsFixture, "a helper's name never leaves its directory") {
  for (const char* name : {"../x", "a b", "x;id", "$(id)", "/bin/sh"}) {
    CAPTURE(name);
    write(kDocker, cat(R"({"credsStore":")", name, R"("})"));
    CHECK(failure("r.io") == ErrorCode::input);
  }
}

TEST_CASE_FIXTURE(CredentialsFixture, "each registry is asked for once") {
  write_helper("count", cat("echo x >> ", dir.path(), R"(/calls; echo '{"Username":"u","Secret":"s"}')"));
  write(kDocker, R"({"credsStore":"count"})");
  CredentialStore store(CredentialStore::places(std::nullopt), nullptr);
  CHECK(store.find("r.io", "x"));
  CHECK(store.find("r.io", "x"));
  CHECK(sys::read_file_at(dir.fd(), "calls", 100) == "x\n");
}

TEST_CASE_FIXTURE(CredentialsFixture, "broken files are named") {
  std::string what;
  for (const std::string text :
       {"{", "[]", R"({"auths":[]})", R"({"auths":{"r.io":{"auth":"!!"}}})", R"({"auths":{"r.io":{"username":1}}})"}) {
    CAPTURE(text);
    write(kDocker, text);
    CHECK(failure("r.io", &what) == ErrorCode::input);
    CHECK(what.find("config.json") != std::string::npos);
  }
}
