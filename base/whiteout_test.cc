// SPDX-License-Identifier: Apache-2.0
#include "base/whiteout.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "base/files.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"

using namespace cbuild;

namespace {

/// Makes whiteouts in a directory that lies on an overlay, in a child with a mount namespace of its own; its verdict.
std::string on_an_overlay(const std::string& directory) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "n";
  for (const char* name : {"lower", "upper", "work", "merged"})
    sys::mkdir_all(AT_FDCWD, cat(directory, "/", name), 0755);
  const std::string options =
      cat("lowerdir=", directory, "/lower,upperdir=", directory, "/upper,workdir=", directory, "/work");
  if (::mount("overlay", cat(directory, "/merged").c_str(), "overlay", 0, options.c_str()) != 0) return "n";
  const UniqueFd merged = sys::open_at(AT_FDCWD, cat(directory, "/merged"), O_RDONLY | O_DIRECTORY);
  const bool made = make_whiteout(merged.get(), "w"), again = make_whiteout(merged.get(), "w");
  return made && !again && is_whiteout(sys::stat_at(merged.get(), "w")) ? "y" : "w";
}

}  // namespace

TEST_CASE("a whiteout can be made and is known, also where the file system takes no device 0:0") {
  if (!test::can_run(::geteuid() == 0, "root")) return;
  const TempDir dir = TempDir::in_tmp("cbuild-whiteout-");
  CHECK(make_whiteout(dir.fd(), "w"));
  CHECK_FALSE(make_whiteout(dir.fd(), "w"));
  CHECK(is_whiteout(sys::stat_at(dir.fd(), "w")));
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd in(ends[0]), out(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::string verdict = "e";
    try {
      verdict = on_an_overlay(dir.path());
    } catch (const std::exception&) {
    }
    ::_exit(::write(out.get(), verdict.data(), 1) == 1 ? 0 : 1);
  }
  out.reset();
  CHECK(sys::read_all(in.get(), 10) == "y");
  ::waitpid(pid, nullptr, 0);
}

TEST_CASE("files, other devices and sockets of programs are not taken for whiteouts") {
  const auto with = [](mode_t mode, dev_t device = 0) {
    struct stat st {};
    st.st_mode = mode;
    st.st_rdev = device;
    return st;
  };
  CHECK(is_whiteout(with(S_IFCHR)));
  CHECK(is_whiteout(with(S_IFSOCK)));
  CHECK_FALSE(is_whiteout(with(S_IFSOCK | 0755)));
  CHECK_FALSE(is_whiteout(with(S_IFCHR | 0600, 0x103)));
  CHECK_FALSE(is_whiteout(with(S_IFBLK)));
  CHECK_FALSE(is_whiteout(with(S_IFREG)));
}
