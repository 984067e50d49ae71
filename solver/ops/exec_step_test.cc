// SPDX-License-Identifier: Apache-2.0
// A command from start to result, with a runner that is a function of the test: layers, logs, retries, failures.
#include "solver/ops/exec_step.h"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <algorithm>
#include <future>
#include <map>
#include <tuple>

#include "base/files.h"
#include "oci/platform.h"
#include "solver/ops/ops_fixture.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::write_file;

bool has(const std::vector<std::string>& list, const std::string& entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

bool has_gid(const sandbox::Spec& spec, gid_t gid) {
  const auto& gids = spec.additional_gids;
  return std::find(gids.begin(), gids.end(), gid) != gids.end();
}

Vertex retried(unsigned retries) {
  Vertex vertex = command();
  vertex.settings.retries = retries;
  return vertex;
}

sandbox::Exit setup_failed(sandbox::SetupFault fault) {
  sandbox::Exit exit;
  exit.code = 125;
  exit.setup_error = "mount overlay: Invalid argument";
  exit.setup_fault = fault;
  return exit;
}

}  // namespace

TEST_CASE("the changes of a command are a layer on its base") {
  World world;
  const Result base = world.base([](int tree) {
    write_file(tree, "etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:7:8::/home/ada:/bin/sh\n");
    write_file(tree, "etc/group", "ada:x:8:\nbuild:x:90:ada\nother:x:91:root\n");
    fchmod(tree, 0711);
    fchown(tree, 3, 4);
  });
  world.runner.steps = {writes("out", "made")};
  Vertex vertex = command();
  auto& op = std::get<ExecOp>(vertex.op);
  op.user = "ada";
  op.environment = {"A=1"};
  vertex.settings.unkeyed_environment = {"B=2"};
  vertex.settings.proxy_environment = {"http_proxy=p"};
  op.working_dir = "";
  op.hostname = "box";
  vertex.settings.extra_hosts = {"db=10.0.0.1"};
  op.network = NetworkMode::none;
  vertex.settings.ulimits = {{"nofile", 10, 20}};
  vertex.settings.timeout_ns = 5;
  const Result result = world.done(vertex, {base});
  CHECK(world.read(result, "out") == "made");
  CHECK(world.store.chain(result.id)->parent == base.id);
  CHECK(world.store.layer(world.store.chain(result.id)->layer)->description == "a step");
  // The root keeps its mode and owner: they are those of the topmost layer.
  CHECK(world.mode(result, "") == 0711);
  CHECK(world.view(result).lookup("")->st.st_uid == 3);
  for (const char* name : {"dev", "proc", "sys"}) CHECK(world.mode(result, name) == 0755);
  REQUIRE(world.runner.specs.size() == 1);
  const sandbox::Spec& spec = world.runner.specs[0];
  CHECK(spec.argv == op.argv);
  CHECK(spec.uid == 7);
  CHECK(spec.gid == 8);
  CHECK(has_gid(spec, 90));
  CHECK_FALSE(has_gid(spec, 91));
  for (const char* entry : {"A=1", "B=2", "http_proxy=p", "HOME=/home/ada"}) CHECK(has(spec.environment, entry));
  CHECK(spec.working_dir == "/");
  CHECK(spec.hostname == "box");
  CHECK(spec.hosts_file.find("10.0.0.1\tdb\n") != std::string::npos);
  CHECK(spec.network == NetworkMode::none);
  CHECK(spec.ulimits == std::vector<Ulimit>{{"nofile", 10, 20}});
  CHECK(spec.timeout_ns == 5);
  CHECK(spec.lower_fds.size() == 1);
}

TEST_CASE("what a command leaves at a kept mount is a result of its own") {
  World world;
  const Result base = world.base([](int tree) { write_file(tree, "f", "base"); });
  const Result shown = world.base([](int tree) { write_file(tree, "old", "kept"); }, "shown");
  Vertex vertex = command();
  const VertexId first = world.graph.add(vertex_of(ImageSource{}, {}));
  vertex.inputs = {first, first, kNoInput};
  std::get<ExecOp>(vertex.op).mounts = {{"/a", BindMount{1, "/", false, true}}, {"/b", BindMount{2, "/", false, true}}};
  const auto step = [](const std::string& text) {
    return [text](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
      for (const sandbox::Mount& mount : spec.mounts)
        if (const auto* bind = std::get_if<sandbox::BindSource>(&mount.source); bind && mount.target.size() == 2)
          write_file(bind->fd, "new", text + mount.target);
      return sandbox::Exit{};
    };
  };
  world.runner.steps = {step("1"), step("2")};
  const Result result = world.done(vertex, {base, shown, {}});
  const auto output = [&](const Result& of, const std::string& target) {
    return world.done(vertex_of(OutputOp{target}, {first}), {of});
  };
  CHECK(world.read(output(result, "/a"), "new") == "1/a");
  CHECK(world.read(output(result, "/a"), "old") == "kept");
  CHECK(world.read(output(result, "/b"), "new") == "1/b");
  CHECK_FALSE(world.view(output(result, "/b")).lookup("old"));
  CHECK_FALSE(world.view(result).lookup("new"));
  // Another content is another result, though the root is the same.
  const Result again = world.done(vertex, {base, shown, {}});
  CHECK(again.identity != result.identity);
  CHECK(world.read(output(again, "/a"), "new") == "2/a");
  CHECK(world.read(output(result, "/a"), "new") == "1/a");
  // Where it is gone the command has to run again.
  CHECK(world.failed(vertex_of(OutputOp{"/c"}, {first}), {again}).error.code() == ErrorCode::missing_content);
  CHECK_FALSE(world.store.chain(again.id));
}

TEST_CASE("other exit codes than 0 may be well") {
  World world;
  const auto ends_with = [](int code) {
    return [code](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
      write_file(spec.upper_fd, "out", "made");
      sandbox::Exit exit;
      exit.code = code;
      return exit;
    };
  };
  Vertex vertex = command();
  std::get<ExecOp>(vertex.op).exit_codes = {3};
  world.runner.steps = {ends_with(3), ends_with(0)};
  CHECK(world.read(world.done(vertex, {{}}), "out") == "made");
  CHECK(world.failed(vertex, {{}}).exit_code == 0);
}

TEST_CASE("a result is the same where base and changes are") {
  World world;
  const auto file = [](int tree) { write_file(tree, "f", "x"); };
  const Result base = world.base(file), other = world.base(file, "other base");
  world.runner.steps = {writes("out", "1"), writes("out", "1"), writes("out", "2"), writes("out", "1")};
  const Result first = world.done(command("one"), {base}, "one");
  const Result again = world.done(command("two"), {base}, "two");
  CHECK(again.identity == first.identity);
  CHECK(again.id != first.id);
  CHECK(world.done(command("one"), {base}, "one").identity != first.identity);
  CHECK(world.done(command("one"), {other}, "one").identity != first.identity);
}

TEST_CASE("changes that are too large are a result of their own each time") {
  World world;
  const auto large = [](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    write_file(spec.upper_fd, "f", "");
    const UniqueFd file = sys::open_at(spec.upper_fd, "f", O_WRONLY);
    if (ftruncate(file.get(), (32 << 20) + 1) != 0) throw_errno(errno, "truncate");
    return sandbox::Exit{};
  };
  world.runner.steps = {large, large};
  CHECK(world.done(command(), {Result{}}).identity != world.done(command(), {Result{}}).identity);
}

TEST_CASE("a command that fails says how, and its log is kept") {
  World world;
  world.runner.steps = {[](const sandbox::Spec& spec, const sandbox::RunCallbacks& callbacks) {
    callbacks.output(LogStream::out, "some text\n");
    return exits(3)(spec, callbacks);
  }};
  const StepFailure failure = world.failed(command("make"), {Result{}});
  CHECK(failure.exit_code == 3);
  CHECK(failure.error.code() == ErrorCode::step_failed);
  CHECK(failure.error.message() == "process \"/bin/sh -c make\" did not complete successfully: exit code: 3");
  CHECK(failure.log_path == world.logs.path() + "/7.log");
  CHECK(sys::read_file_at(AT_FDCWD, failure.log_path, 100) == "some text\n");
  CHECK((sys::stat_at(AT_FDCWD, failure.log_path).st_mode & 07777) == 0600);
}

/// How a command of `platform` fails with `code` on a machine with these registrations.
std::string hint_of(const std::string& platform, int code, const std::map<std::string, std::string>& binfmt) {
  World world;
  const TempDir registered = TempDir::in_tmp("cbuild-ops-binfmt-");
  for (const auto& [name, text] : binfmt) sys::write_file_at(AT_FDCWD, cat(registered.path(), "/", name), text);
  world.local.binfmt_directory = registered.path();
  world.runner.steps = {exits(code)};
  Vertex vertex = command("make");
  std::get<ExecOp>(vertex.op).platform = platform;
  const StepFailure failure = world.failed(vertex, {Result{}});
  CHECK(failure.error.code() == ErrorCode::step_failed);
  return failure.error.hint();
}

TEST_CASE("a foreign program that cannot be started names the package to install") {
  const std::string foreign = oci::host_platform().architecture == "s390x" ? "linux/riscv64" : "linux/s390x";
  const std::string architecture = foreign.substr(foreign.find('/') + 1);
  const std::string hint = hint_of(foreign, 126, {{"status", "enabled\n"}});
  CHECK(hint.starts_with(cat("this machine does not start programs of ", foreign, ": install qemu-user-static")));
  CHECK(hint.find(cat("--install ", architecture)) != std::string::npos);
  CHECK(hint_of(foreign, 126, {}) == hint);  // nothing can be seen, but it did not start
  CHECK(hint_of(foreign, 127, {{"status", "enabled\n"}}).empty());
  CHECK(hint_of(foreign, 1, {{"status", "enabled\n"}}).empty());
  CHECK(hint_of(oci::host_platform().str(), 126, {{"status", "enabled\n"}}).empty());
  CHECK(hint_of("", 126, {{"status", "enabled\n"}}).empty());
}

TEST_CASE("an interpreter that is registered by its path may be missing in the image") {
  if (oci::host_platform().architecture == "s390x") return;
  const auto registered = [](const char* flags) {
    return std::map<std::string, std::string>{
        {"status", "enabled\n"},
        {"x", cat("enabled\ninterpreter /q\nflags: ", flags, "\noffset 0\nmagic 7f454c46020201000000000000000000",
                  "00020016\n")}};
  };
  CHECK(hint_of("linux/s390x", 127, registered("")).find("no flag F") != std::string::npos);
  CHECK(hint_of("linux/s390x", 127, registered("F")).empty());
  CHECK(hint_of("linux/s390x", 126, registered("F")).empty());
}

TEST_CASE("a command is tried again as often as it may be, each time from its base") {
  World world;
  const auto leaves_and_fails = [](const sandbox::Spec& spec, const sandbox::RunCallbacks& callbacks) {
    write_file(spec.upper_fd, "leftover", "x");
    return exits(1)(spec, callbacks);
  };
  SUBCASE("and succeeds") {
    world.runner.steps = {leaves_and_fails, leaves_and_fails, writes("out", "made")};
    const Result result = world.done(retried(2), {Result{}});
    CHECK(world.read(result, "out") == "made");
    CHECK(world.read(result, "leftover") == "(none)");
    CHECK(world.runner.specs.size() == 3);
  }
  SUBCASE("and fails") {
    world.runner.steps = {leaves_and_fails, leaves_and_fails, leaves_and_fails};
    CHECK(world.failed(retried(2), {Result{}}).error.message().ends_with(", 3 tries"));
    CHECK(world.runner.specs.size() == 3);
  }
}

TEST_CASE("a command that was cancelled is not tried again") {
  World world;
  SUBCASE("while it ran") {
    world.runner.steps = {[](const sandbox::Spec&, const sandbox::RunCallbacks&) {
      sandbox::Exit exit;
      exit.code = 143;
      exit.cancelled = true;
      return exit;
    }};
  }
  SUBCASE("when it had just failed") {
    // The runner knows of no cancellation: the command was over.
    world.runner.steps = {[&](const sandbox::Spec& spec, const sandbox::RunCallbacks& callbacks) {
      std::thread([&] { world.executor().cancel(); }).join();
      return exits(1)(spec, callbacks);
    }};
  }
  SUBCASE("before it began") { world.executor().cancel(); }
  const std::size_t expected = world.runner.steps.size();
  CHECK(world.failed(retried(5), {Result{}}).error.code() == ErrorCode::cancelled);
  CHECK(world.runner.specs.size() == expected);
}

TEST_CASE("a sandbox that could not be made is not a failure of the command, and is not tried again") {
  World world;
  const std::pair<sandbox::SetupFault, ErrorCode> rows[] = {
      {sandbox::SetupFault::machine, ErrorCode::unsupported},
      {sandbox::SetupFault::disk_full, ErrorCode::no_space},
      {sandbox::SetupFault::working_directory, ErrorCode::step_failed},
      {sandbox::SetupFault::user, ErrorCode::step_failed},
  };
  for (const auto& [fault, code] : rows) {
    world.runner.steps = {[setup_fault = fault](const sandbox::Spec&, const sandbox::RunCallbacks&) {
      return setup_failed(setup_fault);
    }};
    const StepFailure failure = world.failed(retried(1), {Result{}});
    CHECK(failure.error.code() == code);
    CHECK(failure.error.message() == "cannot start the step: mount overlay: Invalid argument");
  }
  CHECK(world.runner.specs.size() == 4);
}

TEST_CASE("a time limit and the end of memory are said") {
  World world;
  Vertex vertex = command();
  vertex.settings.timeout_ns = 2'000'000'000;
  const auto ends = [](bool timed_out) {
    return [timed_out](const sandbox::Spec&, const sandbox::RunCallbacks&) {
      sandbox::Exit exit;
      exit.code = 137;
      exit.timed_out = timed_out;
      exit.use.oom_killed = !timed_out;
      return exit;
    };
  };
  world.runner.steps = {ends(true), ends(false)};
  CHECK(world.failed(vertex, {Result{}}).error.message().ends_with("stopped after its time limit of 2s"));
  CHECK(world.failed(vertex, {Result{}}).error.message().ends_with("exit code: 137 (killed: out of memory)"));
}

TEST_CASE("the limit that was too small is named") {
  for (const auto& [limit, code, text] :
       {std::tuple{512ll << 20, 137, "exit code: 137 (killed: out of memory, limit 512m)"},
        std::tuple{2ll << 30, 3, "exit code: 3 (a process of it was killed: out of memory, limit 2g)"},
        std::tuple{1000ll, 137, "exit code: 137 (killed: out of memory, limit 1000b)"}}) {
    World world;
    world.local.resources.memory_bytes = limit;
    world.runner.steps = {[code = code](const sandbox::Spec&, const sandbox::RunCallbacks&) {
      sandbox::Exit exit;
      exit.code = code;
      exit.use.oom_killed = true;
      return exit;
    }};
    CHECK(world.failed(command(), {Result{}}).error.message().ends_with(text));
  }
}

TEST_CASE("the use of all tries of a command is told") {
  World world;
  const auto uses = [](int code, std::uint64_t memory) {
    return [code, memory](const sandbox::Spec&, const sandbox::RunCallbacks&) {
      sandbox::Exit exit;
      exit.code = code;
      exit.use = {1, 2, memory, 3, 4, false};
      return exit;
    };
  };
  world.runner.steps = {uses(1, 70), uses(0, 60)};
  std::vector<std::pair<VertexId, ResourceUse>> told;
  world.services.commands.emplace(local_exec(world.local), world.logs);
  world.services.commands->on_use = [&](VertexId id, const ResourceUse& use) { told.emplace_back(id, use); };
  world.done(retried(1), {Result{}});
  REQUIRE(told.size() == 1);
  CHECK(told[0] == std::pair{VertexId{7}, ResourceUse{2, 4, 70, 6, 8, false}});
}

TEST_CASE("the changes of a failed command are kept for a visitor") {
  World world;
  const Result base = world.base([](int tree) { write_file(tree, "below", "base"); });
  world.services.commands.emplace(local_exec(world.local), world.logs);
  world.services.commands->keep_failed = true;
  world.runner.steps = {[](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    write_file(spec.upper_fd, "made", "half");
    sandbox::Exit exit;
    exit.code = 3;
    return exit;
  }};
  Vertex vertex = command();
  vertex.settings.timeout_ns = 5;
  world.failed(vertex, {base});
  CHECK(world.executor().failed(8) == nullptr);
  const FailedCommand* failed = world.executor().failed(7);
  REQUIRE(failed != nullptr);
  CHECK(failed->request.inputs == std::vector<Result>{base});

  std::string seen;
  world.runner.steps = {[&seen](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    seen = sys::read_all(sys::open_at(spec.lower_fds.at(0), "made", O_RDONLY).get(), 100);
    write_file(spec.upper_fd, "mine", "x");
    return sandbox::Exit{};
  }};
  std::promise<ExecEnd> promise;
  const UniqueFd shown = sys::open_at(AT_FDCWD, "/", O_PATH);
  const ExecVisit visit{&failed->changes, {{shown.get(), "/shown"}}, 0, -1};
  const auto running = world.executor().visit(
      failed->request, visit,
      {.output = [](LogStream, std::string_view) {}, .done = [&](ExecEnd end) { promise.set_value(std::move(end)); }});
  CHECK(promise.get_future().get().exit.code == 0);
  CHECK(seen == "half");
  const sandbox::Spec& spec = world.runner.specs.back();
  CHECK(spec.lower_fds.size() == 2);
  CHECK(spec.stdin_fd == 0);
  CHECK_FALSE(spec.timeout_ns);
  CHECK(spec.mounts.back().target == "/shown");
  CHECK(spec.mounts.back().read_only);
  CHECK_FALSE(sys::try_stat_at(failed->changes.tree_fd(), "mine"));
}

TEST_CASE("a failed command is forgotten unless it is asked for") {
  World world;
  world.runner.steps = {exits(3)};
  world.failed(command(), {Result{}});
  CHECK(world.executor().failed(7) == nullptr);
}

TEST_CASE("an unknown user is an error of the step") {
  World world;
  Vertex vertex = command();
  std::get<ExecOp>(vertex.op).user = "nobody-here";
  CHECK_FALSE(world.failed(vertex, {Result{}}).error.message().empty());
  CHECK(world.runner.specs.empty());
}

}  // namespace cbuild::solver::ops
