// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/plugin_link.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/files.h"
#include "base/process/interrupts.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/plugin/client_socket.h"

namespace cbuild::cli {
namespace {

TEST_CASE("the link is made, replaced and removed; another program stays") {
  const TempDir place = TempDir::in_tmp("cbuild-link-test-");
  const std::string directory = place.path() + "/cli-plugins", path = directory + "/docker-buildx";
  CHECK(remove_plugin(directory).empty());
  CHECK(install_plugin("/usr/bin/cbuild", directory, false) == path);
  CHECK(install_plugin("/opt/cbuild-2", directory, false) == path);
  CHECK(sys::readlink_at(AT_FDCWD, path) == "/opt/cbuild-2");
  CHECK(remove_plugin(directory) == path);
  CHECK(!sys::try_stat_at(AT_FDCWD, path));

  sys::write_file_at(AT_FDCWD, path, "another");
  CHECK_THROWS_WITH_AS(install_plugin("/usr/bin/cbuild", directory, false), (path + " is another program").c_str(),
                       Error);
  CHECK_THROWS_AS(remove_plugin(directory), Error);
  install_plugin("/usr/bin/cbuild", directory, true);
  CHECK(sys::readlink_at(AT_FDCWD, path) == "/usr/bin/cbuild");
  const auto fd = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  CHECK(sys::list_dir(fd.get()) == std::vector<std::string>{"docker-buildx"});
}

TEST_CASE("a build is cancelled when docker's client closes its socket") {
  const std::string name = cat("@cbuild-test-", ::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, name.size());
  address.sun_path[0] = '\0';
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  const UniqueFd client = watch_docker_client(name);
  REQUIRE(client);
  UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  CHECK(!cancel.cancelled());
  accepted.reset();  // the kernel signals before close(2) returns
  CHECK(cancel.cancelled());
  listener.reset();
  CHECK(!watch_docker_client(name));
  CHECK(!watch_docker_client(""));
}

}  // namespace
}  // namespace cbuild::cli
