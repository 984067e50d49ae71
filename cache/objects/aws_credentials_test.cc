// SPDX-License-Identifier: Apache-2.0
// Where accounts for AWS are found, in which order, and when they are renewed.
#include "cache/objects/aws_credentials.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/http/fake_server.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cache {
namespace {

constexpr const char* kVariables[] = {"AWS_ACCESS_KEY_ID",
                                      "AWS_SECRET_ACCESS_KEY",
                                      "AWS_SESSION_TOKEN",
                                      "AWS_WEB_IDENTITY_TOKEN_FILE",
                                      "AWS_ROLE_ARN",
                                      "AWS_ROLE_SESSION_NAME",
                                      "AWS_ENDPOINT_URL_STS",
                                      "AWS_PROFILE",
                                      "AWS_SHARED_CREDENTIALS_FILE",
                                      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                      "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                      "AWS_EC2_METADATA_DISABLED",
                                      "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                      "HOME"};

struct AccountsFixture {
  AccountsFixture() {
    for (const char* name : kVariables) {
      const char* value = ::getenv(name);
      if (value != nullptr) saved[name] = value;
      ::unsetenv(name);
    }
    set("HOME", dir.path());
    set("AWS_EC2_METADATA_DISABLED", "true");
    options.now_s = [this] { return now; };
    options.retry_delay = std::chrono::milliseconds(1);
  }
  ~AccountsFixture() {
    for (const char* name : kVariables) {
      ::unsetenv(name);
      if (saved.contains(name)) ::setenv(name, saved[name].c_str(), 1);
    }
  }
  void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  std::string id() { return AwsCredentials(std::nullopt, "eu-west-1", options).keys().id; }

  std::map<std::string, std::string> saved;
  TempDir dir = TempDir::in_tmp("aws-test");
  std::int64_t now = 1767323045;
  ObjectOptions options;
  std::function<http::FakeResponse(const http::FakeRequest&)> script;
  http::FakeServer server{
      [this](const http::FakeRequest& r) { return script ? script(r) : http::FakeResponse{.status = 404}; }};
};

const char kAnswer[] =
    R"({"AccessKeyId":"role","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T04:04:05Z","Code":"Success"})";

}  // namespace

TEST_CASE_FIXTURE(AccountsFixture, "the first place that has an account") {
  std::string what;
  try {
    id();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::denied);
    what = error.hint();
  }
  CHECK(what.find("AWS_ACCESS_KEY_ID") != std::string::npos);
  sys::mkdir_all(dir.fd(), ".aws", 0700);
  sys::write_file_at(
      dir.fd(), ".aws/credentials",
      "# c\n[other]\naws_access_key_id = o\naws_secret_access_key=s\n[ default ]\n"
      "aws_access_key_id=d\naws_secret_access_key = s\naws_session_token=t\n[half]\naws_access_key_id=h\n");
  CHECK(id() == "d");
  set("AWS_PROFILE", "other");
  CHECK(id() == "o");
  set("AWS_ACCESS_KEY_ID", "e");
  CHECK(id() == "o");  // half an account
  set("AWS_SECRET_ACCESS_KEY", "s");
  CHECK(id() == "e");
  CHECK(AwsCredentials(AwsKeys{"g", "s", {}, 0}, "x", options).keys().id == "g");
  CHECK_FALSE(parse_aws_profile("[half]\naws_access_key_id=h\n", "half"));
}

TEST_CASE_FIXTURE(AccountsFixture, "a web identity is changed for an account") {
  sys::write_file_at(dir.fd(), "token", "identity-token\n");
  set("AWS_WEB_IDENTITY_TOKEN_FILE", dir.path() + "/token");
  set("AWS_ROLE_ARN", "arn:aws:iam::1:role/x");
  set("AWS_ENDPOINT_URL_STS", server.url("/"));
  script = [](const http::FakeRequest& r) -> http::FakeResponse {
    if (r.body !=
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&"
        "RoleSessionName=cbuild&WebIdentityToken=identity-token")
      return {.status = 400, .body = r.body};
    return {.body =
                "<R xmlns='x'><A><Credentials><AccessKeyId>w</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                "<SessionToken>t</SessionToken><Expiration>2026-01-02T04:04:05Z</Expiration></Credentials></A></R>"};
  };
  CHECK(id() == "w");
  script = [](const http::FakeRequest& r) -> http::FakeResponse {
    return {.status = 403,
            .body = "<E><Error><Code>AccessDenied</Code><Message>" + replace_all(r.body, "&", " ") +
                    "</Message></Error></E>"};
  };
  try {
    id();
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::denied);
    CHECK(std::string(error.what()).find("AccessDenied") != std::string::npos);
    CHECK(std::string(error.what()).find("identity-token") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(AccountsFixture, "a container's service, asked again before the account ends") {
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/creds"));
  set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic x");
  script = [](const http::FakeRequest& r) -> http::FakeResponse {
    return {.status = r.header("authorization") == "Basic x" ? 200 : 401, .body = kAnswer};
  };
  AwsCredentials credentials(std::nullopt, "x", options);
  CHECK(credentials.keys().session_token == "t");
  CHECK(credentials.keys().id == "role");
  CHECK(server.log().size() == 1);
  now += 3400;
  credentials.keys();
  CHECK(server.log().size() == 2);
  set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.test/creds");
  CHECK_THROWS_AS(id(), const Error&);
}

TEST_CASE_FIXTURE(AccountsFixture, "an instance's service wants a token first") {
  ::unsetenv("AWS_EC2_METADATA_DISABLED");
  set("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url("/"));
  script = [](const http::FakeRequest& r) -> http::FakeResponse {
    if (r.path == "/latest/api/token") return {.status = r.method == "PUT" ? 200 : 405, .body = "tok"};
    if (r.header("x-aws-ec2-metadata-token") != "tok") return {.status = 401};
    if (r.path == "/latest/meta-data/iam/security-credentials/") return {.body = "my-role\n"};
    return r.path.ends_with("/my-role") ? http::FakeResponse{.body = kAnswer} : http::FakeResponse{.status = 404};
  };
  CHECK(id() == "role");
  script = nullptr;
  CHECK_THROWS_AS(id(), const Error&);
}

}  // namespace cbuild::cache
