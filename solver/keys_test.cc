// SPDX-License-Identifier: Apache-2.0
// Definition and content keys: which change of a graph or of files changes which key.
#include "solver/keys.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "solver/fakes.h"
#include "solver/scheduler.h"

namespace cbuild::solver {
namespace {

using fakes::copy;
using fakes::directory;
using fakes::FakeExecutor;
using fakes::image;
using fakes::run;

Digest target_key(const Graph& graph, VertexId target, FakeExecutor& executor) {
  return definition_keys(graph, {target}, executor)[target];
}

TEST_CASE("definition keys: a reached vertex has one, a local directory has none") {
  FakeExecutor executor;
  executor.local["/ctx"] = {{"a", "1"}};
  Graph graph;
  const VertexId base = graph.add(image("a")), context = graph.add(directory("/ctx"));
  const VertexId copied = graph.add(copy("c", base, context, "a")), other = graph.add(run("x", {base}));
  const std::vector<Digest> keys = definition_keys(graph, {copied}, executor);
  REQUIRE(keys.size() == graph.size());
  CHECK_FALSE(keys[base].empty());
  CHECK(keys[context].empty());
  CHECK_FALSE(keys[copied].empty());
  CHECK(keys[other].empty());
}

TEST_CASE("definition keys follow the files that a copy selects, wherever they lie") {
  FakeExecutor executor;
  executor.local["/ctx"] = {{"a/f", "1"}, {"b/f", "1"}, {"c/f", "2"}, {"unread", "x"}};
  const auto key = [&](const std::string& path) {
    Graph graph;
    const VertexId context = graph.add(directory("/ctx"));
    return target_key(graph, graph.add(copy("c", kNoInput, context, path)), executor);
  };
  const Digest before = key("a/f");
  CHECK(key("b/f") == before);
  CHECK(key("c/f") != before);
  executor.local["/ctx"]["unread"] = "y";
  CHECK(key("a/f") == before);
  executor.local["/ctx"]["a/f"] = "3";
  CHECK(key("a/f") != before);
}

TEST_CASE("definition keys tell apart which part of a step is read") {
  FakeExecutor executor;
  const auto key = [&](const std::string& path) {
    Graph graph;
    const VertexId made = graph.add(run("make", {kNoInput}));
    return target_key(graph, graph.add(copy("c", kNoInput, made, path)), executor);
  };
  CHECK(key("a/f") != key("b/f"));
}

TEST_CASE("definition keys depend on inputs, their order and their absence") {
  FakeExecutor executor;
  Graph graph;
  const VertexId a = graph.add(image("a")), b = graph.add(image("b"));
  const std::vector<VertexId> targets{graph.add(fakes::merge("1", {a, b})), graph.add(fakes::merge("2", {b, a})),
                                      graph.add(fakes::merge("3", {a, kNoInput})),
                                      graph.add(fakes::merge("4", {kNoInput, a})), graph.add(fakes::merge("5", {a}))};
  const std::vector<Digest> keys = definition_keys(graph, targets, executor);
  std::set<Digest> seen;
  for (const VertexId target : targets) CHECK(seen.insert(keys[target]).second);
}

TEST_CASE("definition keys do not depend on ignore_cache: a forced run refreshes the record of the normal one") {
  FakeExecutor executor;
  Graph normal, forced;
  Vertex vertex = run("x", {kNoInput});
  const VertexId first = normal.add(vertex);
  vertex.ignore_cache = true;
  const VertexId second = forced.add(vertex);
  CHECK(target_key(normal, first, executor) == target_key(forced, second, executor));
}

TEST_CASE("a selection of a directory is digested once for all its readers") {
  FakeExecutor executor;
  executor.local["/ctx"] = {{"a", "1"}, {"b", "2"}};
  Graph graph;
  const VertexId context = graph.add(directory("/ctx"));
  const VertexId one = graph.add(copy("1", kNoInput, context, "a"));
  const VertexId two = graph.add(copy("2", one, context, "a"));
  const VertexId three = graph.add(copy("3", two, context, "b"));
  definition_keys(graph, {three}, executor);
  CHECK(executor.local_digests() == 2);
}

TEST_CASE("a missing source is an error of the executor") {
  FakeExecutor executor;
  Graph graph;
  const VertexId target = graph.add(copy("c", kNoInput, graph.add(directory("/ctx")), "a"));
  CHECK_THROWS_AS(definition_keys(graph, {target}, executor), Error);
}

TEST_CASE("content keys are made of the content read, and say so") {
  FakeExecutor executor;
  executor.local["/ctx"] = {{"a", "1"}};
  Graph graph;
  const VertexId base = graph.add(image("base")), context = graph.add(directory("/ctx"));
  const VertexId copied = graph.add(copy("c", base, context, "a"));
  LocalSelections locals(graph, executor);
  locals.add(copied, 1);
  const Result one{sha256("1"), sha256("same")}, other{sha256("2"), sha256("same")},
      different{sha256("3"), sha256("new")};
  const ContentKey key = content_key(graph, copied, {one, {}}, locals, executor);
  CHECK(content_key(graph, copied, {other, {}}, locals, executor).key == key.key);
  CHECK(content_key(graph, copied, {different, {}}, locals, executor).key != key.key);
  const auto has = [&](const KeyPart& part) {
    return std::find(key.parts.begin(), key.parts.end(), part) != key.parts.end();
  };
  CHECK(has({"base 0", cat(sha256("same").str(), " name=base ", sha256("manifest base").str())}));
  CHECK(has({"path a", sha256("1").str()}));
  CHECK(key.key != definition_keys(graph, {copied}, executor)[copied]);
}

using Parts = std::vector<KeyPart>;

Parts parts_of(Op op, std::vector<std::string> argument_names = {}) {
  Vertex vertex;
  vertex.op = std::move(op);
  vertex.settings.argument_names = std::move(argument_names);
  return op_parts(vertex);
}

/// These lines are in the records of stores in the field: others would explain misses by changes that nobody made.
TEST_CASE("parts of a command: in words, with values of variables and long texts as digests") {
  ExecOp exec;
  exec.argv = {"/bin/sh", "-c", "make"};
  exec.environment = {"TOKEN=confidential", "FLAG"};
  exec.working_dir = "/w";
  exec.user = "u";
  exec.platform = "linux/amd64";
  exec.mounts = {{"/bind", BindMount{2, "/s", false}},
                 {"/plain", BindMount{1, "/t", true}},
                 {"/cache", CacheMount{.id = "x", .input = 1, .mode = 0700, .read_only = true}},
                 {"/tmp", TmpfsMount{9}},
                 {"/secret", SecretMount{.id = "s", .env_name = "S", .required = true, .value_hash = "hash"}},
                 {"/ssh", SshMount{.id = "default", .required = true}}};
  exec.files = {{"/dev/pipes/EOF", "script", 0755}};
  exec.network = NetworkMode::none;
  exec.insecure = true;
  exec.devices = {"a", "b"};
  exec.hostname = "h";
  exec.host_names = {"db"};
  CHECK(parts_of(exec, {"FLAG"}) == Parts{{"command", "/bin/sh -c make"},
                                          {"variable TOKEN", sha256("confidential").str()},
                                          {"argument FLAG", sha256("").str()},
                                          {"inline /dev/pipes/EOF", sha256("script").str()},
                                          {"mount /bind", "bind from input 2 /s rw"},
                                          {"mount /plain", "bind from input 1 /t"},
                                          {"mount /cache", "cache x ro"},
                                          {"mount /tmp", "tmpfs 9"},
                                          {"mount /secret", "secret s required"},
                                          {"mount /ssh", "ssh default required"},
                                          {"secret s", "hash"},
                                          {"user", "u"},
                                          {"workdir", "/w"},
                                          {"platform", "linux/amd64"},
                                          {"network", "none"},
                                          {"security", "insecure"},
                                          {"devices", "a,b"},
                                          {"hostname", "h"},
                                          {"op", sha256(canonical(exec)).str()}});
  ExecOp plain;
  plain.argv = {std::string(1000, 'x')};
  CHECK(parts_of(plain) == Parts{{"command", sha256(std::string(1000, 'x')).str()},
                                 {"workdir", "/"},
                                 {"op", sha256(canonical(plain)).str()}});
}

TEST_CASE("parts of copies, of files and directories that are made, and of a source") {
  CopyAction copy;
  copy.sources = {"a", "b"};
  copy.destination = "/d";
  copy.excludes = {"x", "y"};
  copy.chown = "1";
  copy.chmod = "0600";
  const FileOp file{{copy, MakeFileAction{"/f", "x", 0644, "2", ""}, MakeDirAction{"/m", 0700, "3", 9}}};
  CHECK(parts_of(file) == Parts{{"copy", "a b to /d"},
                                {"excludes /d", "x y"},
                                {"chown /d", "1"},
                                {"chmod /d", "0600"},
                                {"inline /f", sha256("x").str()},
                                {"chown /f", "2"},
                                {"directory", "/m"},
                                {"op", sha256(canonical(file)).str()}});
  const HttpSource http{"u", "f", sha256("f"), 1, true};
  CHECK(parts_of(http) == Parts{{"op", sha256(canonical(http)).str()}});
}

}  // namespace
}  // namespace cbuild::solver
