// SPDX-License-Identifier: Apache-2.0
#include "api/llb/lowering.h"

#include <doctest/doctest.h>

#include "api/llb/llb_fixture.h"
#include "base/pattern/path_pattern.h"

namespace cbuild::api {
namespace {

using solver::kNoInput;
using solver::Vertex;

bool holds(const std::string& text, std::string_view part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

TEST_CASE("an image by its attributes") {
  TestDefinition def;
  def.finish(
      def.add(source_message("docker-image://docker.io/library/alpine:3", {{"image.resolvemode", "pull"},
                                                                           {"image.recordtype", "internal"},
                                                                           {"image.layerlimit", "1"},
                                                                           {"image.checksum", sha256("x").str()}})));
  Lowered lowered;
  const Vertex& vertex = lowered.lower(def.pb);
  CHECK(vertex.name == "docker-image://docker.io/library/alpine:3");
  CHECK(lowered.op<solver::ImageSource>(vertex).layer_limit == 1);
  CHECK(lowered.op<solver::ImageSource>(vertex).platform == "linux/amd64");
  CHECK(lowered.sources.asked ==
        std::vector<std::string>{"present:", "docker.io/library/alpine:3 " + sha256("x").str()});
  CHECK(lowered.targets.targets[0].config.diff_ids == std::vector<Digest>{sha256("layer 1")});
}

TEST_CASE("attributes that are not known are refused") {
  const auto refusal = [](const std::string& identifier, const std::map<std::string, std::string>& attributes) {
    TestDefinition def;
    def.finish(def.add(source_message(identifier, attributes)));
    return Lowered().refusal(def.pb);
  };
  CHECK(refusal("docker-image://a", {{"image.colour", "red"}}) ==
        "docker-image://a: source.attrs[\"image.colour\"]: unknown attribute with the value \"red\"");
  CHECK(holds(refusal("docker-image://a", {{"image.resolvemode", "guess"}}), "\"guess\" is none of default"));
  CHECK(holds(refusal("local://a", {{"local.includepattern", "[1]"}}), "is not a JSON list of texts"));
  CHECK(holds(refusal("local://a", {{"local.differ", "maybe"}}), "neither none nor metadata"));
  CHECK(holds(refusal("https://a/b", {{"http.perm", "rw"}}), "http.perm"));
  CHECK(holds(refusal("https://a/b", {{"http.header.accept", "x"}}), "unknown attribute"));
  CHECK(holds(refusal("git://a/b", {{"git.authtokensecret", "mine"}}), "only GIT_AUTH_TOKEN"));
  CHECK(holds(refusal("docker-image+blob://a@b", {}), "unknown scheme \"docker-image+blob\""));
  CHECK(holds(refusal("alpine", {}), "is not SCHEME://NAME"));
  CHECK(holds(refusal("oci-layout://a@b", {}), "no content store"));
  CHECK(holds(refusal("cbuild://1", {}), "no earlier results"));
}

TEST_CASE("a client's directory is asked for once and copied where layers are needed") {
  TestDefinition def;
  const std::string local = def.add(source_message("local://context", {{"local.includepattern", R"(["src"])"},
                                                                       {"local.excludepatterns", R"(["*.o","!x.o"])"},
                                                                       {"local.followpaths", R"(["a"])"},
                                                                       {"local.sharedkeyhint", "hint"},
                                                                       {"local.session", "s"},
                                                                       {"local.unique", "u"},
                                                                       {"local.differ", "none"}}));
  def.finish(def.add(exec_message({"ls"}), {local}));
  Lowered lowered;
  std::vector<LocalRequest> requests;
  lowered.options.callbacks.local = [&](const LocalRequest& request) {
    requests.push_back(request);
    return std::string("/synced");
  };
  const Vertex& run = lowered.lower(def.pb);
  const Vertex& copy = lowered.at(run.inputs.at(0));
  CHECK(lowered.op<solver::FileOp>(copy).actions.size() == 1);
  CHECK(lowered.op<solver::LocalSource>(lowered.at(copy.inputs.at(1))).path == "/synced");
  REQUIRE(requests.size() == 1);
  CHECK(requests[0] == LocalRequest{"context", "s", "u", "hint", {"src"}, {"*.o", "!x.o"}, {"a"}, false, false, {}});
}

TEST_CASE("repositories and URLs are pinned") {
  TestDefinition git;
  git.finish(git.add(source_message("git://example.com/r.git#main:sub", {{"git.fullurl", "https://example.com/r.git"},
                                                                         {"git.keepgitdir", "true"},
                                                                         {"git.skipsubmodules", "true"},
                                                                         {"git.authtokensecret", "GIT_AUTH_TOKEN"}})));
  Lowered lowered;
  CHECK(lowered.op<solver::GitSource>(lowered.lower(git.pb)) ==
        solver::GitSource{"https://example.com/r.git", std::string(40, 'a'), "refs/heads/main", "sub", true, false,
                          false});

  TestDefinition url;
  url.finish(url.add(
      source_message("https://example.com/d/f.tar", {{"http.perm", "0755"}, {"http.uid", "5"}, {"http.gid", "6"}})));
  CHECK(lowered.op<solver::HttpSource>(lowered.lower(url.pb)) ==
        solver::HttpSource{"https://example.com/d/f.tar", "f.tar", sha256("https://example.com/d/f.tar"), 7, false,
                           0755, 5, 6});
  TestDefinition bare;
  bare.finish(bare.add(source_message("https://example.com/")));
  CHECK(lowered.op<solver::HttpSource>(lowered.lower(bare.pb)).filename == "download");
}

TEST_CASE("a command with all that it may have") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://a"));
  const std::string other = def.add(source_message("docker-image://b"));
  pb::Op op = exec_message({"sh", "-c", "make"});
  pb::Meta& meta = *op.mutable_exec()->mutable_meta();
  meta.add_env("A=1");
  meta.set_cwd("/work/");
  meta.set_user("me");
  meta.set_hostname("box");
  meta.set_cgroup_parent("/group");
  meta.add_valid_exit_codes(3);
  meta.add_valid_exit_codes(1);
  meta.mutable_proxy_env()->set_http_proxy("http://p");
  pb::HostIp& host = *meta.add_extra_hosts();
  host.set_host("h");
  host.set_ip("1.2.3.4");
  pb::Ulimit& limit = *meta.add_ulimit();
  limit.set_name("nofile");
  limit.set_soft(1);
  limit.set_hard(2);
  op.mutable_exec()->set_network(pb::NONE);
  pb::Mount& bind = add_mount(op, "src", 1, -1);
  bind.set_selector("/dir");
  bind.set_readonly(true);
  pb::Mount& cache = add_mount(op, "/cache", -1, -1);
  cache.set_mount_type(pb::CACHE);
  cache.mutable_cache_opt()->set_id("c");
  cache.mutable_cache_opt()->set_sharing(pb::LOCKED);
  add_mount(op, "/tmp", -1, -1).set_mount_type(pb::TMPFS);
  pb::Mount& secret = add_mount(op, "/run/secrets/s", -1, -1);
  secret.set_mount_type(pb::SECRET);
  secret.mutable_secret_opt()->set_id("s");
  secret.mutable_secret_opt()->set_mode(0400);
  pb::Mount& ssh = add_mount(op, "/run/ssh", -1, -1);
  ssh.set_mount_type(pb::SSH);
  ssh.mutable_ssh_opt()->set_optional(true);
  pb::SecretEnv& variable = *op.mutable_exec()->add_secret_env();
  variable.set_id("t");
  variable.set_name("TOKEN");
  const std::string run = def.add(op, {image, other});
  (*def.pb.mutable_metadata())[run].mutable_linux_resources()->set_memory(1 << 20);
  (*def.pb.mutable_metadata())[run].set_ignore_cache(true);
  def.finish(run);

  Lowered lowered;
  const Vertex& vertex = lowered.lower(def.pb);
  const auto& exec = lowered.op<solver::ExecOp>(vertex);
  CHECK(exec.argv == std::vector<std::string>{"sh", "-c", "make"});
  CHECK(exec.environment ==
        std::vector<std::string>{"A=1", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
  CHECK(exec.working_dir == "/work");
  CHECK(exec.user == "me");
  CHECK(exec.hostname == "box");
  CHECK(exec.network == NetworkMode::none);
  CHECK(exec.exit_codes == std::vector<int>{1, 3});
  CHECK(exec.host_names == std::vector<std::string>{"h"});
  REQUIRE(exec.mounts.size() == 6);
  CHECK(exec.mounts[0] == solver::ExecMount{"", solver::SecretMount{"t", "TOKEN", false, true, 0400, 0, 0, ""}});
  CHECK(exec.mounts[1] ==
        solver::ExecMount{"/cache", solver::CacheMount{"c", solver::Sharing::locked, -1, "/", 0755, 0, 0, false}});
  CHECK(exec.mounts[2] ==
        solver::ExecMount{"/run/secrets/s", solver::SecretMount{"s", "", true, true, 0400, 0, 0, ""}});
  CHECK(exec.mounts[3] == solver::ExecMount{"/run/ssh", solver::SshMount{"default", false, 0, 0, 0}});
  CHECK(exec.mounts[4] == solver::ExecMount{"/tmp", solver::TmpfsMount{}});
  CHECK(exec.mounts[5] == solver::ExecMount{"/work/src", solver::BindMount{1, "/dir", true, false}});
  CHECK(vertex.ignore_cache);
  CHECK(vertex.settings.extra_hosts == std::vector<std::string>{"h=1.2.3.4"});
  CHECK(vertex.settings.proxy_environment == std::vector<std::string>{"HTTP_PROXY=http://p", "http_proxy=http://p"});
  CHECK(vertex.settings.ulimits == std::vector<Ulimit>{{"nofile", 1, 2}});
  CHECK(vertex.settings.cgroup_parent == "/group");
  CHECK(vertex.settings.resources.memory_bytes == 1 << 20);
  CHECK(needs(def.pb) == LlbNeeds{{"s", "t"}, {"default"}, {}});
}

TEST_CASE("a command needs entitlements for the machine's network and all rights") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://a"));
  pb::Op op = exec_message({"make"});
  op.mutable_exec()->set_network(pb::HOST);
  def.finish(def.add(op, {image}));
  Lowered lowered;
  CHECK(lowered.refusal(def.pb) == "make: exec.network: network.host is not allowed");
  lowered.options.allow = {"network.host"};
  CHECK(lowered.refusal(def.pb).empty());

  TestDefinition insecure;
  pb::Op all = exec_message({"make"});
  all.mutable_exec()->set_security(pb::INSECURE);
  insecure.finish(insecure.add(all, {insecure.add(source_message("docker-image://a"))}));
  CHECK(lowered.refusal(insecure.pb) == "make: exec.security: security.insecure is not allowed");
}

TEST_CASE("commands without a root, a command or a working directory are refused") {
  const auto refusal = [](const std::function<void(pb::ExecOp&)>& change) {
    TestDefinition def;
    pb::Op op = exec_message({"make"});
    change(*op.mutable_exec());
    def.finish(def.add(op, {def.add(source_message("docker-image://a"))}));
    return Lowered().refusal(def.pb);
  };
  CHECK(holds(refusal([](pb::ExecOp& exec) { exec.clear_mounts(); }), "there is no mount at /"));
  CHECK(holds(refusal([](pb::ExecOp& exec) { exec.mutable_meta()->clear_args(); }), "there is no command"));
  CHECK(holds(refusal([](pb::ExecOp& exec) { exec.mutable_meta()->set_cwd("x"); }), "not an absolute path"));
  CHECK(holds(refusal([](pb::ExecOp& exec) { *exec.add_mounts() = exec.mounts(0); }), "two mounts at /"));
  CHECK(holds(refusal([](pb::ExecOp& exec) { exec.mutable_mounts(0)->set_input(4); }), "input 4 of 1"));
  CHECK(holds(refusal([](pb::ExecOp& exec) { exec.mutable_mounts(0)->set_output(5); }), "5 of 1 mounts"));
}

TEST_CASE("each mount with an output is a result of the one command") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://a"));
  pb::Op op = exec_message({"make"});
  add_mount(op, "/out", -1, 1);
  pb::Mount& shown = add_mount(op, "/shown", 0, 2);
  shown.set_readonly(true);
  const std::string run = def.add(op, {image});
  const std::string merged = def.add(merge_message(3), {run, run + "#1", run + "#2"});
  def.finish(merged);
  Lowered lowered;
  const Vertex& merge = lowered.lower(def.pb);
  REQUIRE(merge.inputs.size() == 3);
  const auto& exec = lowered.op<solver::ExecOp>(lowered.at(merge.inputs[0]));
  CHECK(exec.mounts.at(0) == solver::ExecMount{"/out", solver::BindMount{1, "/", false, true}});
  const Vertex& taken = lowered.at(merge.inputs[1]);
  CHECK(lowered.op<solver::OutputOp>(taken).target == "/out");
  CHECK(taken.inputs == std::vector<solver::VertexId>{merge.inputs[0]});
  CHECK(taken.name == "make -> /out");
  CHECK(std::holds_alternative<solver::ImageSource>(lowered.at(merge.inputs[2]).op));
}

TEST_CASE("file actions in a row are one vertex") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://a"));
  const std::string other = def.add(source_message("local://context"));
  pb::Op op;
  pb::FileActionMkDir& directory = *add_action(op, 0, -1, -1).mutable_mkdir();
  directory.set_path("/d");
  directory.set_mode(0700);
  directory.set_make_parents(true);
  directory.set_timestamp(5'000'000'000);
  pb::FileActionCopy& copy = set_copy(add_action(op, 2, 1, -1), "/we[ird", "/d/");
  copy.mutable_owner()->mutable_user()->mutable_by_name()->set_name("me");
  copy.mutable_owner()->mutable_user()->mutable_by_name()->set_input(0);
  copy.mutable_owner()->mutable_group()->set_by_id(7);
  copy.set_mode(0640);
  copy.add_include_patterns("*.c");
  pb::FileActionRm& removal = *add_action(op, 3, -1, -1).mutable_rm();
  removal.set_path("/old*");
  removal.set_allow_wildcard(true);
  pb::FileActionSymlink& link = *add_action(op, 4, -1, 0).mutable_symlink();
  link.set_old_path("d");
  link.set_new_path("/l");
  link.set_timestamp(-1);
  def.finish(def.add(op, {image, other}));
  Lowered lowered;
  const Vertex& vertex = lowered.lower(def.pb);
  CHECK(vertex.name == "mkdir /d, copy /we[ird /d/, rm /old*, symlink /l -> d");
  const auto& actions = lowered.op<solver::FileOp>(vertex).actions;
  REQUIRE(actions.size() == 4);
  CHECK(vertex.inputs.size() == 2);
  CHECK(std::get<solver::MakeDirAction>(actions[0]) == solver::MakeDirAction{"/d", 0700, "", 5, true, 0});
  solver::CopyAction expected;
  expected.sources = {escape_glob("we[ird")};
  expected.destination = "/d/";
  expected.chown = "me:7";
  expected.chmod = "0640";
  expected.manner = {false, false, false, true, false, {"*.c"}, {}, 0};
  CHECK(std::get<solver::CopyAction>(actions[1]) == expected);
  CHECK(std::get<solver::RemoveAction>(actions[2]) == solver::RemoveAction{"/old*", true, true});
  CHECK(std::get<solver::SymlinkAction>(actions[3]) == solver::SymlinkAction{"d", "/l", "", std::nullopt, 0});
}

TEST_CASE("a result of an action that others look at is a vertex of its own") {
  TestDefinition def;
  pb::Op op = mkfile_message("/a", "x");
  op.mutable_file()->mutable_actions(0)->set_output(-1);
  set_copy(add_action(op, -1, 0, 0), "/a", "/b");
  set_copy(add_action(op, 1, 0, 1), "/a", "/c");
  const std::string files = def.add(op);
  def.finish(files, 1);
  Lowered lowered;
  const Vertex& second = lowered.lower(def.pb);
  CHECK(lowered.op<solver::FileOp>(second).actions.size() == 1);
  const Vertex& first = lowered.at(second.inputs.at(0));
  CHECK(first.inputs.at(0) == kNoInput);
  CHECK(first.inputs.at(1) == second.inputs.at(1));
  CHECK(std::holds_alternative<solver::MakeFileAction>(
      lowered.op<solver::FileOp>(lowered.at(first.inputs[1])).actions.at(0)));
}

TEST_CASE("file actions that name what is not there are refused") {
  const auto refusal = [](const std::function<void(pb::FileAction&)>& change) {
    TestDefinition def;
    pb::Op op = mkfile_message("/a", "x");
    change(*op.mutable_file()->mutable_actions(0));
    def.finish(def.add(op));
    return Lowered().refusal(def.pb);
  };
  CHECK(holds(refusal([](pb::FileAction& action) { action.set_input(3); }), "action 0 names 3"));
  CHECK(holds(refusal([](pb::FileAction& action) { action.set_input(0); }), "action 0 names 0"));
  CHECK(holds(refusal([](pb::FileAction& action) { action.set_output(-1); }), "no action has the output 0"));
  CHECK(holds(refusal([](pb::FileAction& action) { action.set_output(3); }), "3 of action 0"));
  CHECK(holds(refusal([](pb::FileAction& action) { action.clear_mkfile(); }), "an action does nothing"));
  CHECK(holds(refusal([](pb::FileAction& action) { action.mutable_mkfile()->set_mode(-5); }), "is not a mode"));
  CHECK(holds(refusal([](pb::FileAction& action) {
                action.mutable_mkfile()->mutable_owner()->mutable_user()->mutable_by_name()->set_name("me");
                action.mutable_mkfile()->mutable_owner()->mutable_user()->mutable_by_name()->set_input(-1);
              }),
              "names cannot be looked up in scratch"));
}

TEST_CASE("merges and differences leave out what is scratch") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://a"));
  const std::string diff = def.add(diff_message(0, 0), {image});
  def.finish(def.add(merge_message(2), {diff, image}));
  Lowered lowered;
  CHECK(std::holds_alternative<solver::ImageSource>(lowered.lower(def.pb).op));

  TestDefinition real;
  const std::string base = real.add(source_message("docker-image://a"));
  const std::string run = real.add(exec_message({"make"}), {base});
  real.finish(real.add(diff_message(0, 1), {base, run}));
  CHECK(std::holds_alternative<solver::DiffOp>(lowered.lower(real.pb).op));
}

TEST_CASE("a definition within a definition, given or in a file") {
  TestDefinition inner;
  inner.finish(inner.add(mkfile_message("/inner", "x")));
  TestDefinition def;
  pb::Op op;
  op.mutable_build()->set_builder(-1);
  *op.mutable_build()->mutable_def() = inner.pb;
  def.finish(def.add(op));
  Lowered lowered;
  CHECK(lowered.lower(def.pb).name == "mkfile /inner");

  TestDefinition by_file;
  pb::Op reads;
  reads.mutable_build()->set_builder(-1);
  (*reads.mutable_build()->mutable_inputs())["buildkit.llb.definition"].set_input(0);
  by_file.finish(by_file.add(reads, {by_file.add(mkfile_message("/definition", "y"))}));
  lowered.options.callbacks.read_file = [&](const frontend::LoweredTargets& holder, const std::string& path) {
    CHECK(path == "/buildkit.llb.definition");
    CHECK(holder.graph[holder.targets.at(0).result].name == "mkfile /definition");
    return inner.pb.SerializeAsString();
  };
  CHECK(lowered.lower(by_file.pb).name == "mkfile /inner");
}

TEST_CASE("results of earlier solves, and inputs handed on") {
  auto earlier = std::make_shared<frontend::LoweredTargets>();
  Vertex made;
  made.op = solver::FileOp{{solver::MakeFileAction{"/old", "x"}}};
  made.inputs = {kNoInput};
  made.name = "earlier";
  earlier->targets.emplace_back().result = earlier->graph.add(made);
  Lowered lowered;
  lowered.options.callbacks.earlier = [&](const std::string& ref) {
    CHECK(ref == "ref-1");
    return earlier;
  };
  TestDefinition def;
  pb::Op pass;
  pass.mutable_passthrough()->set_id("p");
  pass.mutable_passthrough()->add_outputs(0);
  def.finish(def.add(pass, {def.add(source_message("cbuild://ref-1"))}));
  CHECK(lowered.lower(def.pb).name == "earlier");
}

TEST_CASE("a result has the layers that were made for it") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://docker.io/library/a:1"));
  const std::string run = def.add(exec_message({"make"}), {image});
  const std::string extra = def.add(mkfile_message("/x", "y"));
  def.finish(def.add(merge_message(2), {run, extra}));
  Lowered lowered;
  lowered.lower(def.pb);
  const frontend::LoweredTarget& bare = lowered.targets.targets.at(0);
  REQUIRE(bare.layer_vertices.size() == 2);
  CHECK(lowered.at(bare.layer_vertices[0]).name == "make");
  CHECK(lowered.at(bare.layer_vertices[1]).name == "mkfile /x");
  CHECK(bare.config.diff_ids.size() == 2);
  CHECK(bare.base_history == 2);
  REQUIRE(bare.config.history.size() == 4);
  CHECK(bare.config.history[3].created_by == "mkfile /x");
  CHECK(bare.config.platform.architecture == "amd64");
  CHECK(bare.base_name == "docker.io/library/a:1@" + sha256("docker.io/library/a:1").str());

  lowered.config =
      R"({"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":[]},
    "history":[{"created_by":"b1"},{"created_by":"b2"},{"created":"2020-01-01T00:00:00Z","created_by":"env","empty_layer":true},
               {"created_by":"RUN make"},{"created_by":"x"}]})";
  lowered.lower(def.pb);
  const frontend::LoweredTarget& given = lowered.targets.targets.at(0);
  CHECK(given.config.config.cmd == std::vector<std::string>{"sh"});
  CHECK(given.config.history.size() == 5);
  CHECK(given.base_history == 3);
  CHECK(given.config.diff_ids.size() == 2);
}

TEST_CASE("without a definition the result is scratch") {
  FakeSources sources;
  LlbOptions options;
  const frontend::LoweredTargets targets =
      lower_definitions({{"t", nullptr, {"linux", "arm64", "", "", {}}, ""}}, options, {sources, sources});
  CHECK(targets.targets.at(0).result == kNoInput);
  CHECK(targets.targets.at(0).config.platform.architecture == "arm64");
}

}  // namespace
}  // namespace cbuild::api
