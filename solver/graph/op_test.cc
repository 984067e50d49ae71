// SPDX-License-Identifier: Apache-2.0
// Which fields are in the canonical bytes of an op and which are not: a cache is right only if this is.
#include "solver/graph/op.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "solver/graph/key_format.h"

namespace cbuild::solver {
namespace {

ExecOp sample_exec() {
  ExecOp exec;
  exec.argv = {"/bin/sh", "-c", "make"};
  exec.environment = {"PATH=/bin", "A=1"};
  exec.working_dir = "/src";
  exec.user = "build";
  exec.platform = "linux/amd64";
  exec.mounts = {{"/in", BindMount{1, "/a", true}},
                 {"/cache", CacheMount{"/cache"}},
                 {"/tmp", TmpfsMount{4096}},
                 {"/run/secrets/s", SecretMount{"s", "", true, true}},
                 {"/run/ssh", SshMount{"default", false}}};
  exec.files = {{"/dev/pipes/EOF", "#!/bin/sh\n", 0755}};
  exec.hostname = "host";
  exec.host_names = {"db"};
  return exec;
}

CopyAction sample_copy() {
  CopyAction copy;
  copy.sources = {"dir/a.txt", "src/*.c"};
  copy.destination = "/dst/";
  return copy;
}

template <typename Value>
using Change = std::pair<const char*, std::function<void(Value&)>>;

std::string key(const ExecOp& exec) { return canonical(exec); }
std::string key(const CopyAction& copy) { return canonical(FileOp{{copy}}); }

/// Every change must give bytes of its own.
template <typename Value>
void check_told_apart(const Value& original, const std::vector<Change<Value>>& changes) {
  std::set<std::string> seen{key(original)};
  for (const auto& [what, change] : changes) {
    Value changed = original;
    change(changed);
    CAPTURE(what);
    CHECK(seen.insert(key(changed)).second);
  }
}

template <typename Value>
void check_same(const Value& original, const std::vector<Change<Value>>& changes) {
  for (const auto& [what, change] : changes) {
    Value changed = original;
    change(changed);
    CAPTURE(what);
    CHECK(changed != original);
    CHECK(key(changed) == key(original));
  }
}

template <typename T>
T& mount(ExecOp& exec, std::size_t index) {
  return std::get<T>(exec.mounts[index].what);
}

TEST_CASE("canonical form of an exec: fields in the key") {
  check_told_apart<ExecOp>(sample_exec(),
                           {{"argv", [](ExecOp& e) { e.argv[2] = "make all"; }},
                            {"argv split",
                             [](ExecOp& e) {
                               e.argv = {"/bin/sh", "-cmake"};
                             }},
                            {"an argument becomes a variable",
                             [](ExecOp& e) { e.argv.pop_back(), e.environment.insert(e.environment.begin(), "make"); }},
                            {"environment", [](ExecOp& e) { e.environment[1] = "A=2"; }},
                            {"working directory", [](ExecOp& e) { e.working_dir = "/"; }},
                            {"user", [](ExecOp& e) { e.user = "root"; }},
                            {"platform", [](ExecOp& e) { e.platform = "linux/arm64"; }},
                            {"mount target", [](ExecOp& e) { e.mounts[0].target = "/in2"; }},
                            {"mount gone", [](ExecOp& e) { e.mounts.pop_back(); }},
                            {"bind input", [](ExecOp& e) { mount<BindMount>(e, 0).input = 2; }},
                            {"bind read-write", [](ExecOp& e) { mount<BindMount>(e, 0).read_only = false; }},
                            {"cache read-only", [](ExecOp& e) { mount<CacheMount>(e, 1).read_only = true; }},
                            {"cache input", [](ExecOp& e) { mount<CacheMount>(e, 1).input = 1; }},
                            {"cache mode", [](ExecOp& e) { mount<CacheMount>(e, 1).mode = 0700; }},
                            {"cache owner", [](ExecOp& e) { mount<CacheMount>(e, 1).uid = 7; }},
                            {"cache id no longer the default", [](ExecOp& e) { mount<CacheMount>(e, 1).id = "other"; }},
                            {"cache namespace", [](ExecOp& e) { mount<CacheMount>(e, 1).id = "ns//cache"; }},
                            {"tmpfs size", [](ExecOp& e) { mount<TmpfsMount>(e, 2).size_bytes = 1; }},
                            {"secret id", [](ExecOp& e) { mount<SecretMount>(e, 3).id = "t"; }},
                            {"secret value", [](ExecOp& e) { mount<SecretMount>(e, 3).value_hash = "h"; }},
                            {"secret env", [](ExecOp& e) { mount<SecretMount>(e, 3).env_name = "T"; }},
                            {"secret not as file", [](ExecOp& e) { mount<SecretMount>(e, 3).as_file = false; }},
                            {"secret optional", [](ExecOp& e) { mount<SecretMount>(e, 3).required = false; }},
                            {"secret mode", [](ExecOp& e) { mount<SecretMount>(e, 3).mode = 0444; }},
                            {"ssh id", [](ExecOp& e) { mount<SshMount>(e, 4).id = "other"; }},
                            {"file path", [](ExecOp& e) { e.files[0].path = "/dev/pipes/X"; }},
                            {"file content", [](ExecOp& e) { e.files[0].content = ""; }},
                            {"file mode", [](ExecOp& e) { e.files[0].mode = 0644; }},
                            {"network", [](ExecOp& e) { e.network = NetworkMode::none; }},
                            {"insecure", [](ExecOp& e) { e.insecure = true; }},
                            {"devices", [](ExecOp& e) { e.devices = {"vendor.com/gpu=0"}; }},
                            {"hostname", [](ExecOp& e) { e.hostname = ""; }},
                            {"name of an extra host", [](ExecOp& e) { e.host_names = {"db2"}; }}});
}

TEST_CASE("canonical form of an exec: fields outside of the key") {
  check_same<ExecOp>(sample_exec(), {{"place of a bind", [](ExecOp& e) { mount<BindMount>(e, 0).source = "/moved"; }}});
  ExecOp custom = sample_exec();
  mount<CacheMount>(custom, 1).id = "one";
  check_same<ExecOp>(custom, {{"id that is not the default", [](ExecOp& e) { mount<CacheMount>(e, 1).id = "two"; }},
                              {"sharing", [](ExecOp& e) { mount<CacheMount>(e, 1).sharing = Sharing::locked; }}});
  ExecOp filled = sample_exec();
  mount<CacheMount>(filled, 1).input = 1;
  check_same<ExecOp>(filled,
                     {{"mode of a cache with content", [](ExecOp& e) { mount<CacheMount>(e, 1).mode = 0700; }}});
}

TEST_CASE("canonical form of a copy") {
  check_told_apart<CopyAction>(sample_copy(),
                               {{"renamed file", [](CopyAction& c) { c.sources[0] = "dir/b.txt"; }},
                                {"other wildcard", [](CopyAction& c) { c.sources[1] = "src/*.h"; }},
                                {"wildcard in another place", [](CopyAction& c) { c.sources[1] = "other/*.c"; }},
                                {"order", [](CopyAction& c) { std::swap(c.sources[0], c.sources[1]); }},
                                {"input", [](CopyAction& c) { c.input = 2; }},
                                {"destination", [](CopyAction& c) { c.destination = "/dst"; }},
                                {"excludes", [](CopyAction& c) { c.excludes = {"x"}; }},
                                {"chown", [](CopyAction& c) { c.chown = "1:2"; }},
                                {"chmod", [](CopyAction& c) { c.chmod = "0644"; }},
                                {"parents", [](CopyAction& c) { c.parents = true; }},
                                {"unpack", [](CopyAction& c) { c.unpack = true; }},
                                {"required", [](CopyAction& c) { c.required = false; }},
                                {"time", [](CopyAction& c) { c.mtime_s = 0; }}});
  check_same<CopyAction>(sample_copy(), {{"moved directory", [](CopyAction& c) { c.sources[0] = "elsewhere/a.txt"; }},
                                         {"at the root", [](CopyAction& c) { c.sources[0] = "a.txt"; }},
                                         {"written with a slash", [](CopyAction& c) { c.sources[0] = "/dir/a.txt"; }}});
  CopyAction parents = sample_copy();
  parents.parents = true;
  check_told_apart<CopyAction>(parents, {{"moved with its path", [](CopyAction& c) { c.sources[0] = "d/a.txt"; }},
                                         {"pivot", [](CopyAction& c) { c.sources[0] = "dir/./a.txt"; }}});
}

TEST_CASE("sources of one input cannot change places unseen") {
  CopyAction first, second;
  first.sources = {"a/x"};
  first.destination = "/1";
  second.sources = {"b/x"};
  second.destination = "/2";
  FileOp one{{first, second}};
  std::swap(first.sources, second.sources);
  FileOp other{{first, second}};
  CHECK(selector(one, 1) == selector(other, 1));
  CHECK(canonical(one) != canonical(other));

  ExecOp exec;
  exec.mounts = {{"/1", BindMount{1, "/a", true}}, {"/2", BindMount{1, "/b", true}}};
  ExecOp swapped = exec;
  std::swap(mount<BindMount>(swapped, 0).source, mount<BindMount>(swapped, 1).source);
  CHECK(selector(exec, 1) == selector(swapped, 1));
  CHECK(canonical(exec) != canonical(swapped));
}

TEST_CASE("a part of the root, which is read whole, is named in full") {
  ExecOp exec;
  exec.mounts = {{"/m", BindMount{0, "/a", true}}};
  ExecOp other = exec;
  mount<BindMount>(other, 0).source = "/b";
  CHECK(canonical(exec) != canonical(other));
}

TEST_CASE("canonical form of sources and others") {
  ImageSource image{sha256("m"), "linux/amd64", sha256("c"), "docker-image://x"};
  ImageSource same = image;
  same.locator = "store://x";
  same.chain_id = sha256("d");
  CHECK(canonical(image) == canonical(same));
  same.platform = "linux/arm64";
  CHECK(canonical(image) != canonical(same));

  GitSource git{"https://a/r", "abc", "main", "", false, true}, mirror = git;
  mirror.remote = "https://b/r";
  mirror.ref = "v1";
  CHECK(canonical(git) == canonical(mirror));
  git.keep_git_dir = mirror.keep_git_dir = true;
  CHECK(canonical(git) != canonical(mirror));

  HttpSource http{"http://a/f", "f", sha256("f"), 1, false}, elsewhere = http;
  elsewhere.url = "http://b/f";
  CHECK(canonical(http) == canonical(elsewhere));
  elsewhere.mtime_s = 2;
  CHECK(canonical(http) != canonical(elsewhere));

  LocalSource local{"context", "/c", {"*.o"}}, renamed = local, unignored = local;
  renamed.name = "other";
  unignored.ignore.clear();
  CHECK(canonical(local) == canonical(renamed));
  CHECK(canonical(local) != canonical(unignored));

  MakeFileAction file{"/f", "x", 0644, "", ""};
  MakeDirAction dir{"/f", 0755, "", std::nullopt};
  const std::set<std::string> all{canonical(MergeOp{}),      canonical(DiffOp{}),      canonical(FileOp{}),
                                  canonical(FileOp{{file}}), canonical(FileOp{{dir}}), canonical(ExecOp{})};
  CHECK(all.size() == 6);
}

/// These bytes are the keys of caches in the field. Whoever changes them on purpose changes kKeyFormat too.
TEST_CASE("canonical bytes are golden") {
  REQUIRE(kKeyFormat == 1);
  CanonicalWriter merge;
  merge.text("cbuild.op").number(1).tag(6);
  CHECK(canonical(MergeOp{}) == merge.bytes());
  CHECK(sha256(canonical(sample_exec())).hex() == "b081e1fd961d086a2e82b619a911633f449978df5dcb616622f76c5f7baa8feb");
  CHECK(sha256(canonical(FileOp{
                   {sample_copy(), MakeFileAction{"/f", "x", 0644, "1", "2"}, MakeDirAction{"/d", 0700, "3", 9}}}))
            .hex() == "ab6f745193799ddbd761f628adc3c1b9fea7980c3d9384bf1f48eed6aac5d2a4");
  CHECK(sha256(canonical(ImageSource{sha256("m"), "linux/amd64", {}, ""})).hex() ==
        "3796261cdcd1d8ff86e4274427cde49ca99c63556ddcc9e9255231b62f755d21");
  CHECK(sha256(canonical(LocalSource{"context", "/c", {"*.o"}})).hex() ==
        "764b4ba31daacd5a83c8ca38cea8046bc26f47be9c0cd54c98f17676fd3f6afe");
  CHECK(sha256(canonical(GitSource{"r", "abc", "main", "sub", true, true})).hex() ==
        "3c13734127428247e543fc867815b887d4201b6fcab6a8376cea94a88ebdc6b4");
  CHECK(sha256(canonical(HttpSource{"u", "f", sha256("f"), 1, true})).hex() ==
        "0c19fd4e9ef0037b3d61c9911e0900c21ee2711028696621bcb79835a35dc58f");
  CHECK(sha256(canonical(selector(FileOp{{sample_copy()}}, 1))).hex() ==
        "797c481c1dd9f74d1ff126b10cd8471b623735be27d4a69b7cfa67290ee5d5f2");
}

TEST_CASE("selectors: the root is whole, copies select the paths they name") {
  CopyAction copy = sample_copy();
  copy.sources = {"/b/", "a//x", "b", "src/*.c"};
  copy.excludes = {"*.o"};
  copy.chown = "1:1";
  copy.chmod = "0644";
  const FileOp file{{copy}};
  CHECK(selector(file, 0) == Selector{});
  const Selector selected = selector(file, 1);
  CHECK(selected.kind == Selector::Kind::paths);
  CHECK(selected.paths == std::vector<std::string>{"a/x", "b", "src/*.c"});
  CHECK(selected.excludes == std::vector<std::string>{"*.o"});
  CHECK(selected.ignore_mode);
  CHECK(selected.ignore_owner);
  CHECK(selected.required);
  CHECK_FALSE(selected.parents);
  CHECK(selector(file, 2) == Selector{});
  CHECK(selector(MergeOp{}, 1) == Selector{});
}

TEST_CASE("selectors: a symbolic mode depends on the old one") {
  CopyAction copy = sample_copy();
  copy.chmod = "u+x";
  CHECK_FALSE(selector(FileOp{{copy}}, 1).ignore_mode);
}

TEST_CASE("selectors: several readers of one input") {
  CopyAction first, second;
  first.sources = {"a"};
  first.excludes = {"x"};
  first.chmod = "0644";
  first.chown = "1";
  second.sources = {"b"};
  second.required = false;
  second.parents = true;
  const Selector selected = selector(FileOp{{first, second}}, 1);
  CHECK(selected.paths == std::vector<std::string>{"a", "b"});
  CHECK(selected.excludes.empty());
  CHECK_FALSE(selected.ignore_mode);
  CHECK_FALSE(selected.ignore_owner);
  CHECK_FALSE(selected.required);
  CHECK(selected.parents);
}

TEST_CASE("selectors: mounts") {
  ExecOp exec;
  exec.mounts = {{"/1", BindMount{1, "/a/../b/", true}},
                 {"/2", CacheMount{"/2", Sharing::shared, 1, "c"}},
                 {"/3", BindMount{2, "/", true}},
                 {"/4", BindMount{3, "/we[ird", true}},
                 {"/5", TmpfsMount{}}};
  CHECK(selector(exec, 1).paths == std::vector<std::string>{"b", "c"});
  CHECK(selector(exec, 2) == Selector{});
  CHECK(local_selector(exec, 2).kind == Selector::Kind::paths);
  CHECK(local_selector(exec, 2).paths == std::vector<std::string>{"."});
  CHECK(selector(exec, 3).paths == std::vector<std::string>{"we[ird"});
  CHECK(selector(exec, 3).literal);
}

TEST_CASE("canonical form of a selector") {
  const Selector original = selector(FileOp{{sample_copy()}}, 1);
  std::set<std::string> seen{canonical(original), canonical(Selector{})};
  const std::vector<Change<Selector>> changes{
      {"paths", [](Selector& s) { s.paths.pop_back(); }},
      {"path becomes exclude", [](Selector& s) { s.excludes = {s.paths.back()}, s.paths.pop_back(); }},
      {"mode", [](Selector& s) { s.ignore_mode = true; }},
      {"owner", [](Selector& s) { s.ignore_owner = true; }},
      {"parents", [](Selector& s) { s.parents = true; }},
      {"required", [](Selector& s) { s.required = false; }},
      {"literal", [](Selector& s) { s.literal = true; }}};
  for (const auto& [what, change] : changes) {
    Selector changed = original;
    change(changed);
    CAPTURE(what);
    CHECK(seen.insert(canonical(changed)).second);
  }
}

TEST_CASE("sources") {
  CHECK(is_source(ImageSource{}));
  CHECK(is_source(LocalSource{}));
  CHECK(is_source(GitSource{}));
  CHECK(is_source(HttpSource{}));
  CHECK_FALSE(is_source(ExecOp{}));
  CHECK_FALSE(is_source(FileOp{}));
  CHECK_FALSE(is_source(MergeOp{}));
  CHECK_FALSE(is_source(DiffOp{}));
}

TEST_CASE("the fields that only LLB sets are in the key") {
  const CopyAction copy = sample_copy();
  std::set<std::string> all = {canonical(FileOp{{copy}})};
  const std::vector<std::function<void(CopyManner&)>> changes = {
      [](CopyManner& manner) { manner.follow = false; },       [](CopyManner& manner) { manner.contents = false; },
      [](CopyManner& manner) { manner.make_parents = false; }, [](CopyManner& manner) { manner.match = true; },
      [](CopyManner& manner) { manner.replace = true; },       [](CopyManner& manner) { manner.includes = {"*.c"}; },
      [](CopyManner& manner) { manner.needed = {"x"}; },       [](CopyManner& manner) { manner.owner_input = 2; }};
  for (const auto& change : changes) {
    CopyAction other = copy;
    change(other.manner);
    CHECK(all.insert(canonical(FileOp{{other}})).second);
  }
  CHECK(all.insert(canonical(FileOp{{RemoveAction{"/a"}}})).second);
  CHECK(all.insert(canonical(FileOp{{RemoveAction{"/b"}}})).second);
  CHECK(all.insert(canonical(FileOp{{RemoveAction{"/a", true}}})).second);
  CHECK(all.insert(canonical(FileOp{{RemoveAction{"/a", false, false}}})).second);
  CHECK(all.insert(canonical(FileOp{{SymlinkAction{"t", "/a", ""}}})).second);
  CHECK(all.insert(canonical(FileOp{{SymlinkAction{"u", "/a", ""}}})).second);
  CHECK(all.insert(canonical(FileOp{{SymlinkAction{"t", "/a", "1"}}})).second);
  CHECK(all.insert(canonical(OutputOp{"/a"})).second);
  CHECK(all.insert(canonical(OutputOp{"/b"})).second);
  CHECK(all.insert(canonical(ImageSource{sha256("m"), "linux/amd64", {}, "", 0})).second);
  CHECK(all.insert(canonical(ImageSource{sha256("m"), "linux/amd64", {}, "", 1})).second);
  ExecOp exec;
  CHECK(all.insert(canonical(exec)).second);
  exec.exit_codes = {1};
  CHECK(all.insert(canonical(exec)).second);
  exec.mounts = {{"/m", BindMount{1, "/", false, false}}};
  CHECK(all.insert(canonical(exec)).second);
  std::get<BindMount>(exec.mounts[0].what).kept = true;
  CHECK(all.insert(canonical(exec)).second);
}

TEST_CASE("an input that copies take in different ways is read whole, and its places count") {
  CopyAction first = sample_copy(), second = sample_copy();
  first.sources = {"a/x"};
  second.sources = {"b/x"};
  second.manner.follow = false;
  CHECK(selector(FileOp{{first, second}}, 1) == Selector{});
  CopyAction moved = first;
  moved.sources = {"c/x"};
  CHECK(canonical(FileOp{{first, second}}) != canonical(FileOp{{moved, second}}));
  CHECK_FALSE(selector(FileOp{{second}}, 1).follow);
  CHECK(canonical(selector(FileOp{{second}}, 1)) != canonical(selector(FileOp{{moved}}, 1)));
  MakeFileAction file{"/f", "x"};
  file.owner_input = 1;
  CHECK(selector(FileOp{{first, file}}, 1) == Selector{});
}

TEST_CASE("which exit codes are well") {
  ExecOp exec;
  CHECK(did_well(exec, 0));
  CHECK_FALSE(did_well(exec, 1));
  exec.exit_codes = {1, 3};
  CHECK(did_well(exec, 3));
  CHECK_FALSE(did_well(exec, 0));
}

}  // namespace
}  // namespace cbuild::solver
