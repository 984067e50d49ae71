// SPDX-License-Identifier: Apache-2.0
// The mounts of a command as the sandbox gets them, with a runner that only notes them.
#include "solver/ops/exec_mounts.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "solver/ops/ops_fixture.h"

namespace cbuild::solver::ops {
namespace {

using namespace testing;
using cache::testing::write_file;

/// A command with mounts.
Vertex mounting(std::vector<ExecMount> mounts) {
  Vertex vertex = command();
  std::get<ExecOp>(vertex.op).mounts = std::move(mounts);
  return vertex;
}

int mounted(const sandbox::Spec& spec, std::size_t index) {
  return std::get<sandbox::BindSource>(spec.mounts.at(index).source).fd;
}

using RunStep = FakeRunner::Step;

/// Reads the content of the first mount.
RunStep lists(std::vector<std::string>& seen) {
  return [&seen](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    seen = sys::list_dir(mounted(spec, 0));
    return sandbox::Exit{};
  };
}

bool has_entry(const std::vector<std::string>& list, const std::string& entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

struct Notes final : ProgressSink {
  std::vector<std::string> texts;
  void on_event(const ProgressEvent& event) override {
    if (const auto* note = std::get_if<RunNote>(&event)) texts.push_back(note->text);
  }
};

}  // namespace

TEST_CASE("mounts become what the sandbox is told") {
  World world;
  world.local.secrets = {{"token", [] { return std::string("value"); }}};
  const Result from = world.base([](int tree) { write_file(tree, "dir/file", "x"); }, "from");
  Vertex vertex = command();
  vertex.inputs = {0, 1};
  world.graph.add(vertex_of(ImageSource{}, {}));
  world.graph.add(vertex_of(ImageSource{.platform = "other"}, {}));
  auto& op = std::get<ExecOp>(vertex.op);
  op.mounts = {{"/dir", BindMount{1, "/dir", true}},
               {"/file", BindMount{1, "/dir/file", true}},
               {"/cache", CacheMount{.id = "c", .mode = 0700, .uid = 5}},
               {"/seeded", CacheMount{.id = "c", .input = 1}},
               {"/tmp", TmpfsMount{4096}},
               {"/run/secrets/token", SecretMount{.id = "token", .mode = 0440}},
               {"/none", SecretMount{.id = "absent", .env_name = "ABSENT"}},
               {"/ssh", SshMount{.id = "absent"}}};
  world.runner.steps = {[&](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    REQUIRE(spec.mounts.size() == 6);
    CHECK(std::get<sandbox::OverlaySource>(spec.mounts[0].source).path == "/dir");
    CHECK(spec.mounts[0].read_only);
    CHECK(std::get<sandbox::OverlaySource>(spec.mounts[1].source).lower_fds.size() == 1);
    const struct stat own = sys::stat_fd(std::get<sandbox::BindSource>(spec.mounts[2].source).fd);
    CHECK((own.st_mode & 07777) == 0700);
    CHECK(own.st_uid == 5);
    CHECK(sys::read_file_at(std::get<sandbox::BindSource>(spec.mounts[3].source).fd, "dir/file", 10) == "x");
    CHECK(std::get<sandbox::TmpfsSource>(spec.mounts[4].source).size_bytes == 4096);
    CHECK(std::get<sandbox::TmpfsSource>(spec.mounts[4].source).mode == 01777);
    const auto& secret = std::get<sandbox::ContentSource>(spec.mounts[5].source);
    CHECK(secret.content == "value");
    CHECK(secret.mode == 0440);
    CHECK(spec.mounts[5].no_exec);
    CHECK(has_entry(spec.environment, "ABSENT="));
    // The file is a file in the skeleton, the rest are directories.
    CHECK(S_ISREG(sys::stat_at(spec.skeleton_fd, "file").st_mode));
    CHECK(S_ISDIR(sys::stat_at(spec.skeleton_fd, "dir").st_mode));
    return sandbox::Exit{};
  }};
  world.done(vertex, {Result{}, from});
}

TEST_CASE("cache mounts of one id are apart where owner or mode differ, and one where they do not") {
  World world;
  const CacheMount mine{.id = "c", .mode = 0700, .uid = 5}, theirs{.id = "c", .mode = 0700, .uid = 6},
      open{.id = "c", .mode = 0755, .uid = 5};
  world.runner.steps = {[&](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    const auto inode = [&](std::size_t index) { return sys::stat_fd(mounted(spec, index)).st_ino; };
    CHECK(inode(0) != inode(1));
    CHECK(inode(0) != inode(2));
    CHECK(inode(1) != inode(2));
    CHECK(inode(0) == inode(3));
    return sandbox::Exit{};
  }};
  world.done(mounting({{"/mine", mine}, {"/theirs", theirs}, {"/open", open}, {"/again", mine}}), {Result{}});
}

TEST_CASE("a step that must not use what was cached begins with empty cache mounts, once in a build") {
  World world;
  const auto leaves = [](const std::string& name) {
    return [name](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
      write_file(mounted(spec, 0), name, "x");
      return sandbox::Exit{};
    };
  };
  std::vector<std::string> seen;
  const auto looks = [&](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
    seen = sys::list_dir(mounted(spec, 0));
    return sandbox::Exit{};
  };
  const auto look = [&](bool ignore_cache) {
    Vertex vertex = mounting({{"/cache", CacheMount{.id = "c"}}});
    vertex.ignore_cache = ignore_cache;
    world.done(vertex, {Result{}});
    return seen;
  };
  world.runner.steps = {leaves("old"), looks, looks, leaves("new"), looks};
  look(false);
  CHECK(look(false) == std::vector<std::string>{"old"});
  CHECK(look(true).empty());
  look(false);
  CHECK(look(true) == std::vector<std::string>{"new"});
}

TEST_CASE("mounts that cannot be given fail the step before it runs") {
  World world;
  const Result from = world.base([](int tree) { write_file(tree, "f", "x"); });
  world.graph.add(vertex_of(ImageSource{}, {}));
  world.graph.add(vertex_of(ImageSource{.platform = "other"}, {}));
  const auto fails = [&](const decltype(ExecMount::what)& what) {
    Vertex vertex = command();
    vertex.inputs = {0, 1};
    std::get<ExecOp>(vertex.op).mounts = {{"/m", what}};
    return world.failed(vertex, {Result{}, from}).error.code();
  };
  CHECK(fails(BindMount{1, "/none", true}) == ErrorCode::not_found);
  CHECK(fails(SecretMount{.id = "s", .required = true}) == ErrorCode::not_found);
  CHECK(fails(SshMount{.id = "s", .required = true}) == ErrorCode::not_found);
  CHECK(world.runner.specs.empty());
}

TEST_CASE("a private cache mount that is in use is another one, and a shared one is the same") {
  World world;
  const auto inner = [&](Sharing sharing) {
    ino_t outer = 0, nested = 0;
    // The second command runs while the first one holds its mounts.
    world.runner.steps = {[&](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
                            outer = sys::stat_fd(mounted(spec, 0)).st_ino;
                            world.done(mounting({{"/c", CacheMount{.id = "c", .sharing = sharing}}}), {Result{}}, "in");
                            return sandbox::Exit{};
                          },
                          [&](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
                            nested = sys::stat_fd(mounted(spec, 0)).st_ino;
                            return sandbox::Exit{};
                          }};
    world.done(mounting({{"/c", CacheMount{.id = "c", .sharing = sharing}}}), {Result{}}, "out");
    return outer == nested;
  };
  CHECK(inner(Sharing::shared));
  CHECK_FALSE(inner(Sharing::private_));
}

TEST_CASE("a locked cache mount is free again when its command has ended") {
  World world;
  const Vertex vertex = mounting({{"/c", CacheMount{.id = "c", .sharing = Sharing::locked}}});
  std::vector<std::string> seen;
  world.runner.steps = {lists(seen), exits(1), lists(seen)};
  world.done(vertex, {Result{}});
  world.failed(vertex, {Result{}});
  world.done(vertex, {Result{}});
}

TEST_CASE("a fresh cache mount whose content elsewhere cannot be read starts empty, with a warning") {
  World world;
  Notes notes;
  std::vector<std::string> asked;
  world.local.mount_content = [&](const std::string& key) {
    asked.push_back(key);
    cache::Layer layer;
    layer.blob = oci::Descriptor{};
    layer.blob->digest = sha256("not in the store");
    return layer;
  };
  StoreExecutor executor(
      world.graph,
      {.store = world.store,
       .progress = notes,
       .cancel = world.cancel,
       .fetch_blob = [](const cache::Layer&, oci::BlobStore&) { throw Error(ErrorCode::network, "cut off"); },
       .commands = CommandServices{local_exec(world.local), world.logs}});
  std::vector<std::string> seen{"something"};
  world.runner.steps = {lists(seen)};
  const Vertex vertex = mounting({{"/c", CacheMount{.id = "c"}}});
  std::promise<Outcome> promise;
  executor.execute({7, &vertex, {Result{}}, sha256("key")}, [&](Outcome outcome) { promise.set_value(outcome); });
  const Outcome outcome = promise.get_future().get();
  CHECK(std::holds_alternative<Result>(outcome));
  CHECK(seen.empty());
  CHECK(asked.size() == 1);
  REQUIRE(notes.texts.size() == 1);
  CHECK(notes.texts[0].starts_with("cache mount c starts empty: cut off"));
}

TEST_CASE("an agent is a mount and a variable, which an own one goes before") {
  World world;
  sys::write_file_at(AT_FDCWD, cat(world.context.path(), "/agent"), "");
  world.local.ssh_agents = {{"default", cat(world.context.path(), "/agent")}};
  world.runner.steps = {[](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
                          CHECK(spec.mounts.size() == 1);
                          CHECK(has_entry(spec.environment, "SSH_AUTH_SOCK=/run/agent"));
                          return sandbox::Exit{};
                        },
                        [](const sandbox::Spec& spec, const sandbox::RunCallbacks&) {
                          CHECK(has_entry(spec.environment, "SSH_AUTH_SOCK=/own"));
                          CHECK_FALSE(has_entry(spec.environment, "SSH_AUTH_SOCK=/run/agent"));
                          return sandbox::Exit{};
                        }};
  Vertex vertex = mounting({{"/run/agent", SshMount{.id = "default", .required = true}}});
  world.done(vertex, {Result{}});
  std::get<ExecOp>(vertex.op).environment = {"SSH_AUTH_SOCK=/own"};
  world.done(vertex, {Result{}});
}

}  // namespace cbuild::solver::ops
