// SPDX-License-Identifier: Apache-2.0
#include "api/session/client_session.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "api/session/fake_client.h"
#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/test_wait.h"

namespace cbuild::api {
namespace {

using namespace test;

ErrorCode code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

std::multimap<std::string, std::string> header_with(const std::string& key, const std::string& value) {
  return {{"x-docker-expose-session-" + key, value}};
}

}  // namespace

TEST_CASE("a session's header is read") {
  auto metadata = header_with("uuid", "abc");
  metadata.emplace("x-docker-expose-session-name", "dir");
  metadata.emplace("x-docker-expose-session-sharedkey", "k");
  metadata.emplace("x-docker-expose-session-grpc-method", "/a.B/C");
  metadata.emplace("x-docker-expose-session-grpc-method", "/d.E/F");
  metadata.emplace("other", "x");
  const SessionHeader header = SessionHeader::parse(metadata);
  CHECK(header.id == "abc");
  CHECK(header.name == "dir");
  CHECK(header.shared_key == "k");
  CHECK(header.methods == std::vector<std::string>{"/a.B/C", "/d.E/F"});
}

TEST_CASE("headers without an id or with too much are refused") {
  CHECK(code_of([] { SessionHeader::parse({}); }) == ErrorCode::usage);
  CHECK(code_of([] { SessionHeader::parse(header_with("uuid", "a b")); }) == ErrorCode::usage);
  CHECK(code_of([] { SessionHeader::parse(header_with("uuid", std::string(5000, 'x'))); }) == ErrorCode::usage);
  auto metadata = header_with("uuid", "abc");
  for (int i = 0; i < 257; ++i) metadata.emplace("x-docker-expose-session-grpc-method", "/a.B/C" + std::to_string(i));
  CHECK(code_of([&] { SessionHeader::parse(metadata); }) == ErrorCode::usage);
}

TEST_CASE("a session knows its methods in any case, and refuses others") {
  FakeClient client({});
  CHECK(client.session().offers("/moby.filesync.v1.filesync/diffcopy"));
  CHECK_FALSE(client.session().offers("/grpc.health.v1.Health/Check"));
  CHECK(client.session().header().id == "id");
}

TEST_CASE("secrets come, missing ones are values, refused ones are errors") {
  Behaviour behaviour;
  behaviour.secrets = {{"token", std::string("a\0b", 3)}, {"empty", ""}};
  FakeClient client(behaviour);
  CHECK(client.session().secret("token", nullptr) == std::string("a\0b", 3));
  CHECK(client.session().secret("empty", nullptr) == "");
  CHECK_FALSE(client.session().secret("other", nullptr).has_value());
  CHECK(code_of([&] { client.session().secret("broken", nullptr); }) == ErrorCode::denied);
  CancelSource cancel;
  cancel.cancel();
  CHECK(code_of([&] { client.session().secret("token", &cancel); }) == ErrorCode::cancelled);
}

TEST_CASE("an ssh agent is there or not") {
  FakeClient client({});
  client.session().check_ssh("default", nullptr);
  CHECK(code_of([&] { client.session().check_ssh("other", nullptr); }) == ErrorCode::not_found);
}

TEST_CASE("accounts come, with identity tokens, or none") {
  Behaviour behaviour;
  behaviour.accounts = {{"a.test", {"me", "pass"}}, {"b.test", {"", "identity"}}};
  FakeClient client(behaviour);
  CHECK(client.session().credentials("a.test", nullptr)->username == "me");
  const auto identity = client.session().credentials("b.test", nullptr);
  CHECK(identity->username.empty());
  CHECK(identity->secret == "identity");
  CHECK_FALSE(client.session().credentials("c.test", nullptr).has_value());
}

TEST_CASE("tokens are fetched by the client, if it does that") {
  FakeClient without({});
  CHECK_FALSE(without.session().fetch_token({"c", "h", "r", "s", {}}, nullptr).has_value());
  CHECK_FALSE(without.session().token_authority("h", "salt", nullptr).has_value());

  Behaviour behaviour;
  behaviour.public_key = std::string(32, 'k');
  behaviour.fetch_token = [](const auto& request, auto& response) {
    if (request.host() == "denied") return grpc::Status(grpc::UNAUTHENTICATED, "wrong password");
    response.set_token(request.client_id() + request.realm() + request.service() + request.scopes(1));
    response.set_expires_in(60);
    return grpc::Status::OK;
  };
  FakeClient client(behaviour);
  const auto token = client.session().fetch_token({"c", "h", "r", "s", {"x", "y"}}, nullptr);
  CHECK(token->token == "crsy");
  CHECK(token->expires_in_s == 60);
  CHECK(code_of([&] { client.session().fetch_token({"c", "denied", "", "", {}}, nullptr); }) == ErrorCode::denied);
  CHECK(client.session().token_authority("h", "salt", nullptr) == std::string(32, 'k'));
  client.behaviour().public_key = "short";
  CHECK(code_of([&] { client.session().token_authority("h", "salt", nullptr); }) == ErrorCode::network);
}

TEST_CASE("a closed session fails every call, and its end can be waited for") {
  FakeClient client({});
  CHECK(client.session().is_open());
  client.session().close();
  CHECK_FALSE(client.session().is_open());
  const Awaiting wait("the end of the session");
  client.session().wait_closed();
  CHECK(code_of([&] { client.session().secret("a", nullptr); }) == ErrorCode::network);
}

TEST_CASE("an upload is written into a file, up to its limit") {
  Behaviour behaviour;
  std::string path;
  behaviour.pull = [&](const Metadata& metadata, auto& stream) {
    path = metadata.find("urlhost")->second + metadata.find("urlpath")->second;
    ::moby::upload::v1::BytesMessage message;
    for (const char* part : {"abc", "def"}) {
      message.set_data(part);
      stream.Write(message);
    }
    return grpc::Status::OK;
  };
  FakeClient client(behaviour);
  const TempDir directory = TempDir::in_tmp("session-test-");
  const UniqueFd file = sys::open_at(directory.fd(), "f", O_RDWR | O_CREAT, 0600);
  CHECK(client.session().pull_upload("u1", file.get(), 6, nullptr) == 6);
  CHECK(path == "buildkit-session/u1");
  CHECK(sys::read_file_at(directory.fd(), "f", 100) == "abcdef");
  CHECK(code_of([&] { client.session().pull_upload("u1", file.get(), 5, nullptr); }) == ErrorCode::input);
  CHECK(code_of([&] { client.session().pull_upload("\u00e4", file.get(), 5, nullptr); }) == ErrorCode::usage);
}

}  // namespace cbuild::api
