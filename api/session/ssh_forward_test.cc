// SPDX-License-Identifier: Apache-2.0
#include "api/session/ssh_forward.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "api/session/fake_client.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/test_wait.h"

namespace cbuild::api {
namespace {

using namespace test;

UniqueFd connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw_errno(errno, path);
  return fd;
}

std::string read_to_end(int fd) {
  const Awaiting wait("the end of the agent's answers");
  std::string result;
  char buffer[1000];
  for (ssize_t count; (count = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
    result.append(buffer, static_cast<std::size_t>(count));
  return result;
}

/// Answers each message with itself in brackets, and ends when the program does.
grpc::Status echo(const Metadata& metadata, Stream<::moby::sshforward::v1::BytesMessage>& stream) {
  if (metadata.find("buildkit.ssh.id")->second != "default") return {grpc::NOT_FOUND, "no such agent"};
  std::string all;
  ::moby::sshforward::v1::BytesMessage message;
  while (stream.Read(&message)) all += message.data();
  message.set_data("[" + all + "]");
  stream.Write(message);
  return grpc::Status::OK;
}

}  // namespace

TEST_CASE("connections to a forwarded agent reach the client") {
  Behaviour behaviour;
  behaviour.forward = echo;
  FakeClient client(behaviour);
  std::string path;
  {
    const auto forward = client.session().forward_ssh("default");
    path = forward->socket_path();
    const UniqueFd one = connect_to(path), two = connect_to(path);
    REQUIRE(::send(one.get(), "abc", 3, 0) == 3);
    REQUIRE(::send(two.get(), "xyz", 3, 0) == 3);
    ::shutdown(one.get(), SHUT_WR);
    ::shutdown(two.get(), SHUT_WR);
    CHECK(read_to_end(one.get()) == "[abc]");
    CHECK(read_to_end(two.get()) == "[xyz]");
  }
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, path).has_value());
}

TEST_CASE("a connection to an agent that the client refuses is closed, and so are open ones at the end") {
  Behaviour behaviour;
  behaviour.forward = echo;
  FakeClient client(behaviour);
  const auto refused = client.session().forward_ssh("other");
  CHECK(read_to_end(connect_to(refused->socket_path()).get()).empty());
  auto forward = client.session().forward_ssh("default");
  const UniqueFd open = connect_to(forward->socket_path());
  REQUIRE(::send(open.get(), "abc", 3, 0) == 3);
  forward.reset();
  CHECK(read_to_end(open.get()).empty());
}

}  // namespace cbuild::api
