// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/listen.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace cbuild::api {

TEST_CASE("a unix socket is made with its directory, and taken over only from the dead") {
  const TempDir temp = TempDir::in_tmp("listen-test-");
  const std::string path = cat(temp.path(), "/run/d.sock");
  {
    const Listener first = listen_on(cat("unix://", path));
    CHECK(first.is_local);
    CHECK(first.path == path);
    struct stat st {};
    REQUIRE(::lstat(path.c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0660);
    CHECK_THROWS_AS(listen_on(cat("unix://", path)), Error);
  }
  CHECK_NOTHROW(listen_on(cat("unix://", path)));  // the file is still there, and nobody listens
}

TEST_CASE("a file that is not a socket stays") {
  const TempDir temp = TempDir::in_tmp("listen-test-");
  const std::string path = cat(temp.path(), "/file");
  REQUIRE(::symlink("elsewhere", path.c_str()) == 0);
  CHECK_THROWS_AS(listen_on(cat("unix://", path)), Error);
  struct stat st {};
  REQUIRE(::lstat(path.c_str(), &st) == 0);
  CHECK(S_ISLNK(st.st_mode));
}

TEST_CASE("addresses that are none are refused") {
  for (const char* wrong : {"", "/run/d.sock", "unix://relative", "tcp://127.0.0.1", "tcp://name:80",
                            "http://1.2.3.4:5", "tcp://127.0.0.1:port"})
    CHECK_THROWS_AS(listen_on(wrong), Error);
  CHECK_THROWS_AS(listen_on(cat("unix:///", std::string(200, 'x'))), Error);
}

TEST_CASE("TCP listens on a free port") { CHECK_FALSE(listen_on("tcp://127.0.0.1:0").is_local); }

}  // namespace cbuild::api
