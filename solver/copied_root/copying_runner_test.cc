// SPDX-License-Identifier: Apache-2.0
// Commands on copies, with a shell in the copy's directory in place of a sandbox. Their changes are held against those
// that a real overlay has after the same script.
#include "solver/copied_root/copying_runner.h"

#include <fcntl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <regex>

#include "base/process/subprocess.h"
#include "base/test_skip.h"
#include "oci/layer/test_support.h"
#include "solver/ops/ops_fixture.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::write_file;
using oci::layer::test::describe_tree;
using oci::layer::test::TreeMaker;

constexpr std::int64_t kLongAgo = 1'000'000'000;

/// Runs a shell script in the root of the step, and leaves its output in `output`.
FakeRunner::Step shell(const std::string& script, std::string* output = nullptr) {
  return [script, output](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    const CommandResult result =
        run_command({"sh", "-ec", cat("cd ", sys::readlink_at(AT_FDCWD, sys::fd_path(spec.upper_fd)), "; ", script)});
    if (output != nullptr) *output = result.out;
    sandbox::Exit exit;
    exit.code = result.exit_code;
    INFO(result.err);
    CHECK(result.exit_code == 0);
    return exit;
  };
}

/// Two layers with what changes can be made to, in the store.
void make_layers(int lower, int upper) {
  TreeMaker(lower)
      .file("etc/passwd", "root")
      .file("d/one", "one")
      .file("d/two", "two")
      .file("d/sub/deep", "deep")
      .file("hidden", "by the upper layer")
      .file("gone/x", "x")
      .symlink("soft", "d/one")
      .file("linked", "both")
      .hardlink("also", "linked")
      .xattr("d/one", "user.note", "kept")
      .own("d/two", 7, 8)
      .mtime("d", kLongAgo);
  TreeMaker(upper).whiteout("gone").file("hidden", "upper").file("d/three", "three").mtime("d", kLongAgo + 5);
}

/// Without what overlayfs notes for itself: where a file was copied from, and that all whiteouts are one inode.
std::vector<std::string> essence(std::vector<std::string> lines) {
  static const std::regex kNotes(R"re( trusted\.overlay\.(impure|origin)="([^"\\]|\\.)*")re"),
      kWhiteouts("( dev 0) = .*");
  for (std::string& line : lines) line = std::regex_replace(std::regex_replace(line, kNotes, ""), kWhiteouts, "$1");
  return lines;
}

class Machine {
 public:
  explicit Machine(bool mounts = true) {
    auto runner = std::make_unique<FakeRunner>();
    inner = runner.get();
    copying = make_copying_runner(
        std::move(runner), {.stage = [this] { return store.stage("root"); }, .mounts = mounts, .user_xattr = false});
    sys::mkdir_all(dir.fd(), "lower", 0755);
    sys::mkdir_all(dir.fd(), "top", 0755);
    lowers.push_back(open("top"));
    lowers.push_back(open("lower"));
    make_layers(lowers[1].get(), lowers[0].get());
  }

  UniqueFd open(const std::string& path) const { return sys::open_at(dir.fd(), path, O_RDONLY | O_DIRECTORY); }
  sandbox::Spec spec() const {
    sandbox::Spec out;
    for (const UniqueFd& fd : lowers) out.lower_fds.push_back(fd.get());
    return out;
  }
  /// Runs the step with a new upper directory.
  sandbox::Exit run(sandbox::Spec spec, const FakeRunner::Step& step) {
    const std::string name = cat("upper", ++uppers);
    sys::mkdir_at(dir.fd(), name, 0755);
    upper = open(name);
    spec.upper_fd = upper.get();
    inner->steps = {step};
    std::promise<sandbox::Exit> ended;
    auto running = copying->run(spec, {.output = [](LogStream, std::string_view) {},
                                       .done = [&](const sandbox::Exit& exit) { ended.set_value(exit); }});
    return ended.get_future().get();
  }
  std::vector<std::string> changes() const { return essence(describe_tree(upper.get(), {.times = false})); }

  cache::testing::TempStore temp;
  cache::Store store{temp.options()};
  TempDir dir = TempDir::in_tmp("cbuild-copied-");
  FakeRunner* inner = nullptr;
  std::unique_ptr<sandbox::Runner> copying;
  std::vector<UniqueFd> lowers;
  UniqueFd upper;
  int uppers = 0;
};

/// The upper directory of an overlay over the machine's layers after the script.
std::vector<std::string> overlay_changes(Machine& machine, const std::string& script) {
  for (const char* name : {"real", "work", "merged"}) sys::mkdir_at(machine.dir.fd(), name, 0755);
  const CommandResult result =
      run_command({"unshare", "-m", "sh", "-ec",
                   cat("cd ", machine.dir.path(),
                       "; mount -t overlay -o "
                       "lowerdir=top:lower,upperdir=real,workdir=work,index=off,redirect_dir=off,metacopy=off "
                       "overlay merged; cd merged; ",
                       script)});
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return essence(describe_tree(machine.open("real").get(), {.times = false}));
}

}  // namespace

TEST_CASE("the changes of a command are those that an overlay has") {
  if (!test::can_run(::geteuid() == 0, "root")) return;
  const char* const scripts[] = {
      "true",
      "echo more >> d/one",
      "chmod 600 d/one; chown 3:4 d/two",
      "rm d/two",
      "rm -r d",
      "rm -r d; mkdir d; echo n > d/new",
      "rm -r d/sub; mkdir d/sub",
      "rm soft; mkdir soft; touch soft/f",
      "rm -r d; echo file > d",
      "rm hidden; ln -s nowhere hidden",
      "mkdir -p a/b/c; touch a/b/c/f; chmod 2775 a/b",
      "mkdir gone; touch gone/back",
      "touch d/four; rm d/four",
      "mkfifo fifo; mknod null c 1 3",
      "touch n; ln n m; ln n d/k",
      "chmod 700 .; chown 5:6 .",
      "chmod 755 d; chown 0:0 etc/passwd",
      "touch -d '2001-01-01 00:00:00' d/sub",
      "mv d/one d/renamed",
      "rm etc/passwd; echo root > etc/passwd",
      "cp -p etc/passwd x; mv x etc/passwd",
  };
  for (const char* script : scripts) {
    CAPTURE(std::string(script));
    Machine machine;
    CHECK(machine.run(machine.spec(), shell(script)).setup_error.empty());
    CHECK(join(machine.changes(), "\n") == join(overlay_changes(machine, script), "\n"));
  }
}

TEST_CASE("a command sees the layers merged, and its failure leaves no changes") {
  Machine machine;
  std::string seen;
  CHECK(machine.run(machine.spec(), shell("cat hidden d/one d/three; ls; stat -c %h linked", &seen)).code == 0);
  CHECK(seen == "upperonethreealso\nd\netc\nhidden\nlinked\nsoft\n2\n");
  const auto fails = [](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    write_file(spec.upper_fd, "half", "done");
    sandbox::Exit exit;
    exit.code = 3;
    return exit;
  };
  CHECK(machine.run(machine.spec(), fails).code == 3);
  CHECK(machine.changes().empty());
}

TEST_CASE("the next step goes on with the copy of the one before, and only that") {
  Machine machine;
  const auto inode = [](std::uint64_t& of) {
    return [&of](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
      of = sys::stat_at(spec.upper_fd, "d/one").st_ino;
      write_file(spec.upper_fd, "made", "x");
      return sandbox::Exit{};
    };
  };
  std::uint64_t first = 0, second = 0, other = 0;
  machine.run(machine.spec(), inode(first));
  sandbox::Spec next = machine.spec();
  const UniqueFd made = std::move(machine.upper);
  next.lower_fds.insert(next.lower_fds.begin(), made.get());
  std::string seen;
  machine.run(machine.spec(), inode(other));
  machine.run(next, [&](const sandbox::Spec& spec, const sandbox::RunCallbacks& callbacks) {
    seen = sys::read_file_at(spec.upper_fd, "made", 10);
    return inode(second)(spec, callbacks);
  });
  CHECK(first == second);
  CHECK(first != other);
  CHECK(seen == "x");
}

TEST_CASE("mount targets are there for the command and not in its layer, unless it used them") {
  Machine machine;
  sys::mkdir_all(machine.dir.fd(), "skeleton/etc", 0755);
  sys::mkdir_all(machine.dir.fd(), "skeleton/run/lock", 0755);
  write_file(machine.dir.fd(), "skeleton/etc/hosts", "");
  const UniqueFd skeleton = machine.open("skeleton");
  sandbox::Spec spec = machine.spec();
  spec.skeleton_fd = skeleton.get();
  std::string seen;
  machine.run(spec, shell("ls etc run; touch new", &seen));
  CHECK(seen == "etc:\nhosts\npasswd\n\nrun:\nlock\n");
  CHECK(machine.changes().size() == 1);
  machine.run(spec, shell("touch run/sibling"));
  const std::vector<std::string> changes = machine.changes();
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].starts_with("run "));
  CHECK(changes[1].starts_with("run/sibling "));
}

TEST_CASE("a directory of mount targets that the command replaces by a link leads nowhere (CVE-2024-23652)") {
  Machine machine;
  for (const char* place : {"skeleton/a/deep/empty", "outside/deep/empty"})
    sys::mkdir_all(machine.dir.fd(), place, 0755);
  for (const char* place : {"skeleton/a/deep/victim", "outside/deep/victim"}) write_file(machine.dir.fd(), place, "");
  const UniqueFd skeleton = machine.open("skeleton");
  sandbox::Spec spec = machine.spec();
  spec.skeleton_fd = skeleton.get();
  const sandbox::Exit exit = machine.run(spec, shell(cat("mv a b; ln -s ", machine.dir.path(), "/outside a")));
  CHECK(exit.setup_error.empty());
  CHECK(sys::try_stat_at(machine.dir.fd(), "outside/deep/victim"));
  CHECK(sys::try_stat_at(machine.dir.fd(), "outside/deep/empty"));
}

TEST_CASE("where nothing can be mounted, mounts are moved and copied in, and out again") {
  if (!test::can_run(::geteuid() == 0, "root")) return;
  Machine machine(false);
  sys::mkdir_all(machine.dir.fd(), "cache/c", 0755);
  write_file(machine.dir.fd(), "cache/c/old", "cached");
  sys::mkdir_all(machine.dir.fd(), "source/sub", 0755);
  write_file(machine.dir.fd(), "source/sub/f", "from another stage");
  const UniqueFd cache = machine.open("cache/c"), source = machine.open("source");
  sandbox::Spec spec = machine.spec();
  spec.hosts_file = "127.0.0.1 here\n";
  spec.mounts = {{.target = "/d", .source = sandbox::BindSource{cache.get()}},
                 {.target = "/d/in", .source = sandbox::TmpfsSource{0, 0700}},
                 {.target = "/etc/s", .source = sandbox::ContentSource{"secret", 3, 4, 0400}},
                 {.target = "/soft", .source = sandbox::OverlaySource{{source.get()}, "/sub", false}}};
  sys::mkdir_all(machine.dir.fd(), "skeleton/etc", 0755);
  sys::mkdir_all(machine.dir.fd(), "skeleton/dev", 0755);
  for (const char* name : {"skeleton/etc/hosts", "skeleton/etc/s"}) write_file(machine.dir.fd(), name, "");
  const UniqueFd skeleton = machine.open("skeleton");
  spec.skeleton_fd = skeleton.get();

  std::string seen;
  CHECK(machine
            .run(spec,
                 shell("cat d/old d/one/f etc/hosts etc/s; stat -c %u:%g:%a etc/s d/in; ls -A d/in; test -c dev/null; "
                       "rm d/old; echo new > d/new; touch d/one/trash out; echo root2 > etc/passwd",
                       &seen))
            .setup_error.empty());
  CHECK(seen == "cachedfrom another stage127.0.0.1 here\nsecret3:4:400\n0:0:700\n");
  CHECK(sys::list_dir(machine.open("cache/c").get()) == std::vector<std::string>{"new"});
  const std::vector<std::string> changes = machine.changes();
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].starts_with("etc "));
  CHECK(changes[1].starts_with("etc/passwd "));
  CHECK(changes[2].starts_with("out "));
}

TEST_CASE("where nothing can be mounted, one cache is at all of its targets") {
  if (!test::can_run(::geteuid() == 0, "root")) return;
  Machine machine(false);
  sys::mkdir_all(machine.dir.fd(), "cache/c", 0755);
  write_file(machine.dir.fd(), "cache/c/old", "cached");
  const UniqueFd cache = machine.open("cache/c");
  sandbox::Spec spec = machine.spec();
  spec.mounts = {{.target = "/c1", .source = sandbox::BindSource{cache.get()}},
                 {.target = "/d/c2", .source = sandbox::BindSource{cache.get()}}};
  std::string seen;
  CHECK(machine.run(spec, shell("cat c1/old d/c2/old; echo new > d/c2/new; cat c1/new", &seen)).setup_error.empty());
  CHECK(seen == "cachedcachednew\n");
  CHECK(sys::list_dir(machine.open("cache/c").get()) == std::vector<std::string>{"new", "old"});
  CHECK(machine.changes().empty());
}

}  // namespace cbuild::solver::ops
