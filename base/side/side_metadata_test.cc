// SPDX-License-Identifier: Apache-2.0
// Trees whose entries cannot have the owners, modes and devices they should: what is recorded, read back, and
// corrected.
#include "base/side/side_metadata.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/test_skip.h"

using namespace cbuild;

namespace {

constexpr uid_t kUser = 1000;

/// A tree that an ordinary user makes, in a child process where this one is root.
class UserTree {
 public:
  UserTree() {
    sys::mkdir_at(dir_.fd(), "fs", 0755);
    if (::fchownat(dir_.fd(), "fs", kUser, kUser, 0) != 0 || ::fchown(dir_.fd(), kUser, kUser) != 0) owned_ = false;
  }
  bool usable() const { return owned_; }
  UniqueFd tree() const { return sys::open_at(dir_.fd(), "fs", O_RDONLY | O_DIRECTORY); }

  /// True if `action` was carried out, and gave true.
  bool as_user(const std::function<bool(int tree)>& action) const {
    const UniqueFd root = tree();
    const pid_t child = ::fork();
    if (child == 0) {
      bool done = ::setgroups(0, nullptr) == 0 && ::setresgid(kUser, kUser, kUser) == 0 &&
                  ::setresuid(kUser, kUser, kUser) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
      try {
        done = done && action(root.get());
      } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "%s\n", error.what());
        done = false;
      }
      ::_exit(done ? 0 : 1);
    }
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  TempDir dir_ = TempDir::in_tmp("cbuild-side-");
  bool owned_ = true;
};

bool looks_like(int tree, const std::string& path, const Metadata& wanted) {
  const auto side = SideMetadata::read(tree);
  struct stat st = sys::stat_at(tree, path);
  if (!side) return false;
  side->correct(path, st);
  const SideEntry* entry = side->find(path);
  const auto xattrs = entry == nullptr ? std::vector<sys::Xattr>() : entry->wanted.xattrs;
  return st.st_mode == wanted.mode && st.st_uid == wanted.uid && st.st_gid == wanted.gid &&
         st.st_rdev == wanted.device && xattrs == wanted.xattrs;
}

void make_file(int tree, const char* name) {
  sys::open_at(tree, name, O_WRONLY | O_CREAT | O_EXCL, 0600).close_checked();
}

}  // namespace

TEST_CASE("side metadata: an ordinary user's tree is that of root to its readers") {
  const UserTree made;
  if (!test::can_run(made.usable(), "giving files away")) return;
  const Metadata file{S_IFREG | 04711,
                      7,
                      8,
                      0,
                      {{"security.capability", std::string("\x01\0\0\x02\0\x20", 6) + std::string(14, '\0')}}};
  const Metadata unreadable{S_IFREG, 0, 0}, device{S_IFBLK | 0660, 0, 6, makedev(8, 1)}, pipe{S_IFIFO | 0622, 3, 3};
  const Metadata directory{S_IFDIR | 02555, 0, 12}, plain{S_IFREG | 0644, 0, 0}, own{S_IFREG | 0644, kUser, kUser};
  CHECK(made.as_user([&](int tree) {
    SideRecorder recorder(true);
    for (const char* name : {"file", "unreadable", "device", "plain", "own"}) make_file(tree, name);
    recorder.give(tree, "file", file);
    recorder.give(tree, "unreadable", unreadable);
    recorder.give(tree, "device", device);
    recorder.give(tree, "plain", plain);
    recorder.give(tree, "own", own);
    sys::mkdir_at(tree, "directory", 0700);
    make_file(tree, "directory/inner");
    recorder.give(tree, "directory", directory);
    if (::mkfifoat(tree, "pipe", 0600) != 0 || ::symlinkat("file", tree, "link") != 0) return false;
    recorder.give(tree, "pipe", pipe);
    recorder.give(tree, "link", {S_IFLNK | 0777, 9, 9});
    recorder.save(tree);
    return looks_like(tree, "file", file) && looks_like(tree, "unreadable", unreadable) &&
           looks_like(tree, "device", device) && looks_like(tree, "pipe", pipe) &&
           looks_like(tree, "directory", directory) && looks_like(tree, "plain", plain) &&
           looks_like(tree, "own", own) && looks_like(tree, "link", {S_IFLNK | 0777, 9, 9}) &&
           looks_like(tree, "directory/inner", {S_IFREG | 0600, 0, 0});
  }));
  CHECK(made.as_user([&](int tree) {  // its owner gets at everything
    (void)sys::read_file_at(tree, "unreadable", 10);
    return SideMetadata::read(tree)->find("plain") == nullptr && SideMetadata::says_owners_apart(tree);
  }));
}

TEST_CASE("side metadata: every name of a file has it, and nothing that took its place") {
  const UserTree made;
  if (!test::can_run(made.usable(), "giving files away")) return;
  CHECK(made.as_user([&](int tree) {
    SideRecorder recorder(true);
    make_file(tree, "one");
    recorder.give(tree, "one", {S_IFREG | 0644, 7, 8});
    if (::linkat(tree, "one", tree, "two", 0) != 0) return false;
    make_file(tree, "gone");
    recorder.give(tree, "gone", {S_IFREG | 0644, 7, 8});
    sys::unlink_at(tree, "gone");
    make_file(tree, "gone");
    recorder.give(tree, "gone", {S_IFREG | 0644, 0, 0});
    recorder.save(tree);
    const auto side = SideMetadata::read(tree);
    return side->find("one") != nullptr && side->find("two") != nullptr && side->find("gone") == nullptr;
  }));
}

TEST_CASE("side metadata: a mode that was set later stays") {
  const SideMetadata side({{"f", {{S_IFREG | 0000, 7, 8}, S_IFREG | 0400}}}, true);
  struct stat st {};
  st.st_mode = S_IFREG | 0400;
  side.correct("f", st);
  CHECK(st.st_mode == S_IFREG);
  st.st_mode = S_IFREG | 0755;
  side.correct("f", st);
  CHECK(st.st_mode == (S_IFREG | 0755));
}

TEST_CASE("side metadata: a mode is changed alone") {
  const UserTree made;
  if (!test::can_run(made.usable(), "giving files away")) return;
  CHECK(made.as_user([&](int tree) {
    SideRecorder recorder(true);
    sys::mkdir_at(tree, "d", 0700);
    recorder.give(tree, "d", {S_IFDIR | 0755, 7, 8});
    recorder.give_mode(tree, "d", 0555);
    recorder.save(tree);
    return looks_like(tree, "d", {S_IFDIR | 0555, 7, 8});
  }));
}

TEST_CASE("side metadata: a damaged file is refused") {
  const UserTree made;
  const UniqueFd tree = made.tree();
  CHECK(SideMetadata::read(tree.get()) == nullptr);
  const SideMetadata side({{"a", {{S_IFREG | 0644, 7, 8, 0, {{"user.x", "y"}}}, S_IFREG | 0644}}}, true);
  write_side_metadata(tree.get(), side);
  const std::string whole = sys::read_file_at(tree.get(), "../side", 1000);
  CHECK(SideMetadata::read(tree.get())->entries() == side.entries());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    sys::write_file_at(tree.get(), "../side", whole.substr(0, size));
    if (size == whole.find('\0') + 1) continue;  // a header with no entry
    CHECK_THROWS_AS((void)SideMetadata::read(tree.get()), Error);
  }
}

TEST_CASE("side metadata: content of a file system that is mounted nowhere is none") {
  constexpr unsigned kCreate = 6;
  const UniqueFd fs(static_cast<int>(::syscall(SYS_fsopen, "tmpfs", 1)));
  if (!test::can_run(static_cast<bool>(fs), "mounting a tmpfs")) return;
  REQUIRE(::syscall(SYS_fsconfig, fs.get(), kCreate, nullptr, nullptr, 0) == 0);
  const UniqueFd root(static_cast<int>(::syscall(SYS_fsmount, fs.get(), 1, 0)));
  REQUIRE(root);
  const SideMetadata side({{"a", {{S_IFREG | 0644, 7, 8}, S_IFREG | 0644}}}, true);
  write_side_metadata(root.get(), side);
  REQUIRE(sys::try_stat_at(root.get(), "side"));
  CHECK(SideMetadata::read(root.get()) == nullptr);
  CHECK_FALSE(SideMetadata::says_owners_apart(root.get()));
}
