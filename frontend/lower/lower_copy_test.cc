// SPDX-License-Identifier: Apache-2.0
// COPY and ADD as ops: sources, destinations, origins, --link, and sources on the network.
#include <doctest/doctest.h>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::Build;
using testing::last_op;
using testing::own_history;
using testing::result_vertex;
using testing::step_names;
using Texts = std::vector<std::string>;

const solver::FileOp& file_of(const Lowered& lowered) { return std::get<solver::FileOp>(result_vertex(lowered).op); }

solver::CopyAction copy_of(const Lowered& lowered) {
  REQUIRE(file_of(lowered).actions.size() == 1);
  return std::get<solver::CopyAction>(file_of(lowered).actions[0]);
}

TEST_CASE("sources are cleaned and cannot leave the context") {
  Build build;
  CHECK(copy_of(build.run("FROM a\nCOPY a/ ./b/../c /d/ ../../e *.txt dir/[ab]? . / /x/\n")).sources ==
        Texts{"a", "c", "d", "e", "*.txt", "dir/[ab]?", ".", "."});
}

TEST_CASE("destinations are absolute and keep the slash of a directory") {
  Build build;
  const std::pair<const char*, const char*> cases[] = {
      {"/x", "/x"},  {"/x/", "/x/"},  {"/x/.", "/x/"}, {"x", "/w/x"},  {"x/", "/w/x/"},       {".", "/w/"},
      {"./", "/w/"}, {"\"\"", "/w/"}, {"..", "/"},     {"../y", "/y"}, {"/a//b/../c", "/a/c"}};
  for (const auto& [written, expected] : cases) {
    CAPTURE(written);
    CHECK(copy_of(build.run(cat("FROM a\nWORKDIR /w\nCOPY f ", written, "\n"))).destination == expected);
  }
  CHECK(copy_of(build.run("FROM scratch\nCOPY f x\n")).destination == "/x");
}

TEST_CASE("the build context is a vertex of its own") {
  Build build;
  build.options.context_ignore = {"*.o"};
  const Lowered lowered = build.run("FROM a\nCOPY x /\n");
  REQUIRE(result_vertex(lowered).inputs.size() == 2);
  const solver::Vertex& context = lowered.graph[result_vertex(lowered).inputs[1]];
  CHECK(std::get<solver::LocalSource>(context.op) == solver::LocalSource{"context", "/ctx", {"*.o"}});
  CHECK(context.name == "[internal] load build context");
}

TEST_CASE("a stage with patterns of its own reads the context by them") {
  Build build;
  build.options.context_ignore = {"*.o"};
  build.options.callbacks.stage_ignore = [](const std::string& stage) {
    return stage == "own" ? std::optional(std::vector<std::string>{"*.md"}) : std::nullopt;
  };
  const auto patterns = [&](const std::string& text) {
    const Lowered lowered = build.run(text);
    return std::get<solver::LocalSource>(lowered.graph[result_vertex(lowered).inputs.at(1)].op).ignore;
  };
  using Patterns = std::vector<std::string>;
  CHECK(patterns("FROM a AS Own\nCOPY x /\n") == Patterns{"*.md"});
  CHECK(patterns("FROM a AS own\nRUN --mount=target=/m x\n") == Patterns{"*.md"});
  CHECK(patterns("FROM a AS other\nCOPY x /\n") == Patterns{"*.o"});
  CHECK(patterns("FROM a\nCOPY x /\n") == Patterns{"*.o"});
  CHECK(patterns("FROM a AS own\nFROM own\nCOPY x /\n") == Patterns{"*.o"});
}

TEST_CASE("without a build context there is nothing to copy from") {
  Build build;
  build.options.context_path.clear();
  CHECK(result_vertex(build.run("FROM a\nCOPY x /\n")).inputs[1] == solver::kNoInput);
}

TEST_CASE("flags and values are expanded") {
  Build build;
  const Lowered lowered =
      build.run("FROM a\nARG U=10 M=755 S=src D=/dst\nCOPY --chown=$U:${G:-20} --chmod=$M $S \"$D\"/\n");
  const solver::CopyAction copy = copy_of(lowered);
  CHECK(copy.chown == "10:20");
  CHECK(copy.chmod == "755");
  CHECK(copy.sources == Texts{"src"});
  CHECK(copy.destination == "/dst/");
  CHECK(own_history(lowered).back() == "COPY --chown=10:20 --chmod=755 src /dst/ # buildkit");
  CHECK(result_vertex(lowered).name == "[2/2] COPY --chown=10:20 --chmod=755 src /dst/");
}

TEST_CASE("JSON form is expanded too") {
  Build build;
  CHECK(copy_of(build.run("FROM a\nENV X=1\nCOPY [\"a b\", \"f$X\", \"/d/\"]\n")).sources == Texts{"a b", "f1"});
}

TEST_CASE("an unset chown keeps owners") {
  Build build;
  CHECK(copy_of(build.run("FROM a\nCOPY --chown=$NOBODY x /\n")).chown == "");
}

TEST_CASE("wrong modes") {
  Build build;
  CHECK(build.message("FROM a\nCOPY --chmod=64a x /\n") ==
        "invalid chmod parameter: '64a'. it should be octal string and between 0 and 07777");
  CHECK(build.message("FROM a\nADD --chmod=foo x /\n") == "invalid syntax");
}

TEST_CASE("excludes, parents and pivots") {
  Build build;
  const Lowered lowered = build.run("FROM a\nCOPY --exclude=*.o --exclude=!k.o --parents a/b ./x/./y/**/z /d/\n");
  const solver::CopyAction copy = copy_of(lowered);
  CHECK(copy.excludes == Texts{"*.o", "!k.o"});
  CHECK(copy.parents);
  CHECK(copy.sources == Texts{"a/b", "x/./y/**/z"});
  CHECK(own_history(lowered) == Texts{"COPY --parents a/b ./x/./y/**/z /d/ # buildkit"});
}

TEST_CASE("COPY --from stages, images and contexts") {
  Build build;
  build.options.named_contexts = {{"deps", "local:/deps"}};
  const Lowered lowered = build.run(
      "FROM a AS build\nRUN make\nFROM scratch\nCOPY --from=BUILD /o /1\nCOPY --from=alpine /e /2\n"
      "COPY --from=deps d /3\nCOPY --from=0 /o /4\n");
  CHECK(step_names(lowered) == Texts{"[build 1/2] FROM docker.io/library/a:latest@" + sha256("a for linux/amd64").str(),
                                     "[build 2/2] RUN make", "[stage-1 1/4] COPY --from=BUILD /o /1",
                                     "FROM docker.io/library/alpine:latest@" + sha256("alpine for linux/amd64").str(),
                                     "[stage-1 2/4] COPY --from=alpine /e /2", "[context deps] load from client",
                                     "[stage-1 3/4] COPY --from=deps d /3", "[stage-1 4/4] COPY --from=0 /o /4"});
  CHECK(own_history(lowered).front() == "COPY /o /1 # buildkit");
  CHECK(build.images.requests.size() == 2);
}

TEST_CASE("COPY --from=scratch has nothing") {
  Build build;
  CHECK(result_vertex(build.run("FROM a\nCOPY --from=scratch x /\n")).inputs[1] == solver::kNoInput);
}

TEST_CASE("COPY --from a stage that comes later, or an image with an invalid name") {
  Build build;
  CHECK(build.message("FROM a AS one\nCOPY --from=two x /\nFROM one AS two\nRUN y\n") ==
        "cannot copy from stage \"two\", it needs to be defined before current stage \"one\"");
  CHECK(build.message("FROM a\nCOPY --from=Nope x /\n") ==
        "failed to parse stage name \"Nope\": invalid reference \"Nope\": repository name must be lowercase");
}

TEST_CASE("ADD unpacks local archives, COPY never does") {
  Build build;
  CHECK(copy_of(build.run("FROM a\nADD x.tar /\n")).unpack);
  CHECK_FALSE(copy_of(build.run("FROM a\nADD --unpack=false x.tar /\n")).unpack);
  CHECK_FALSE(copy_of(build.run("FROM a\nCOPY x.tar /\n")).unpack);
}

TEST_CASE("heredocs become files of an inline tree and are copied like any other") {
  Build build;
  const Lowered lowered =
      build.run("FROM a\nENV N=w\nCOPY --chmod=700 src <<A <<\"B*\" /d/\nhi $N \\$N \"q\"\nA\nraw $N\nB*\n");
  REQUIRE(file_of(lowered).actions.size() == 2);
  const auto& copy = std::get<solver::CopyAction>(file_of(lowered).actions[1]);
  CHECK(copy.sources == Texts{"A", "B[*]"});
  CHECK(copy.chmod == "700");
  CHECK(copy.destination == "/d/");
  const solver::Vertex& inline_tree =
      lowered.graph[result_vertex(lowered).inputs.at(static_cast<std::size_t>(copy.input))];
  CHECK(inline_tree.name == "[internal] preparing inline document");
  CHECK(inline_tree.inputs == std::vector<solver::VertexId>{solver::kNoInput});
  const auto& files = std::get<solver::FileOp>(inline_tree.op).actions;
  REQUIRE(files.size() == 2);
  CHECK(std::get<solver::MakeFileAction>(files[0]) ==
        solver::MakeFileAction{.path = "/A", .content = "hi w $N \"q\"\n"});
  CHECK(std::get<solver::MakeFileAction>(files[1]) == solver::MakeFileAction{.path = "/B*", .content = "raw $N\n"});
  CHECK(own_history(lowered).back() == "COPY --chmod=700 src <<A <<B* /d/ # buildkit");
}

TEST_CASE("--link copies onto nothing and stacks the layer") {
  Build build;
  const Lowered lowered = build.run("FROM a\nCOPY --link x /y/\n");
  const solver::Vertex& merge = result_vertex(lowered);
  CHECK(std::holds_alternative<solver::MergeOp>(merge.op));
  CHECK(merge.name == "[2/2] LINK COPY --link x /y/");
  REQUIRE(merge.inputs.size() == 2);
  CHECK(std::holds_alternative<solver::ImageSource>(lowered.graph[merge.inputs[0]].op));
  const solver::Vertex& copy = lowered.graph[merge.inputs[1]];
  CHECK(copy.inputs[0] == solver::kNoInput);
  CHECK(copy.name == "[2/2] COPY --link x /y/");
  CHECK(lowered.target.layer_vertices == std::vector<solver::VertexId>{merge.inputs[1]});
  CHECK(own_history(lowered) == Texts{"COPY x /y/ # buildkit"});
}

TEST_CASE("a linked copy is the same whatever it is put on") {
  Build build;
  const Lowered one = build.run("FROM a\nCOPY --link x /y/\n"), two = build.run("FROM b\nRUN z\nCOPY --link x /y/\n");
  const auto digest = [](const Lowered& l) { return l.graph[result_vertex(l).inputs[1]].digest; };
  CHECK(digest(one) == digest(two));
}

TEST_CASE("--link on scratch needs no stacking, and with --chmod it is a plain copy") {
  Build build;
  CHECK(result_vertex(build.run("FROM scratch\nCOPY --link x /y/\n")).name == "[1/1] COPY --link x /y/");
  const Lowered lowered = build.run("FROM a\nCOPY --link --chmod=755 x /y/\n");
  CHECK(std::holds_alternative<solver::FileOp>(result_vertex(lowered).op));
  CHECK(result_vertex(lowered).inputs[0] != solver::kNoInput);
}

TEST_CASE("--link knows no names") {
  Build build;
  CHECK(build.message("FROM a\nCOPY --link --chown=user x /\n") == "invalid user index: -1");
  CHECK(build.message("FROM a\nCOPY --link --chown=1:grp x /\n") == "invalid user index: -1");
  CHECK(build.message("FROM a\nCOPY --link --chown=4294967294 x /\n") == "invalid user index: -1");  // no id: a name
}

TEST_CASE("an empty root knows no names either; one with a layer is asked") {
  Build build;
  CHECK(build.message("FROM scratch\nCOPY --chown=user x /\n") == "invalid user index: -1");
  CHECK(build.message("FROM scratch\nCOPY --chown=1:grp x /\n") == "invalid user index: -1");
  CHECK(build.message("FROM scratch\nUSER me\nWORKDIR /w\n") == "invalid user index: -1");
  CHECK(build.message("FROM scratch\nCOPY --chown=root:5 x /\nCOPY --chown=user y /\n") == "");
  CHECK(build.message("FROM a\nCOPY --link --chown=root:0 x /\n") == "");
  CHECK(build.message("FROM a\nCOPY --link --chmod=755 --chown=user x /\n") == "");
}

TEST_CASE("ADD of a URL is pinned") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  build.pinner.files["https://h/d/x%2A.tar?s=1"] = {sha256("content"), 1234};
  const Lowered lowered = build.run("FROM a\nADD https://h/d/x%2A.tar?s=1 /y/\n");
  CHECK(last_op<solver::HttpSource>(lowered) ==
        solver::HttpSource{"https://h/d/x%2A.tar?s=1", "x*.tar", sha256("content"), 1234, false});
  CHECK(copy_of(lowered).sources == Texts{"x[*].tar"});
  CHECK_FALSE(copy_of(lowered).unpack);
  CHECK(copy_of(build.run("FROM a\nADD --unpack https://h/d/x%2A.tar?s=1 /y/\n")).unpack);
  CHECK(own_history(lowered) == Texts{"ADD https://h/d/x%2A.tar?s=1 /y/ # buildkit"});
}

TEST_CASE("checksums of URLs") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  build.pinner.files["https://h/x"] = {sha256("content"), 0};
  const std::string good = sha256("content").str(), bad = sha256("other").str();
  CHECK(build.message(cat("FROM a\nARG D=", good, "\nADD --checksum=$D https://h/x /\n")) == "");
  CHECK(build.pinner.expectations.back().second == sha256("content"));
  CHECK(build.message(cat("FROM a\nADD --checksum=", bad, " https://h/x /\n")) ==
        cat("digest mismatch for https://h/x: ", good, " (expected: ", bad, ")"));
  CHECK(build.message("FROM a\nADD --checksum=md5:7e55db001d319a94b0b713529a756623 https://h/x /\n") ==
        "unsupported digest algorithm");
  CHECK(build.message("FROM a\nADD --checksum=sha256:12 https://h/x /\n") == "invalid checksum digest length");
  const std::string zeros = cat("sha256:", std::string(64, '0'));
  CHECK(build.message(cat("FROM a\nADD --checksum=", zeros, " https://h/x /\n")) ==
        cat("digest mismatch: nothing has the checksum ", zeros));
  CHECK(build.message(cat("FROM a\nADD --checksum=", good, " x /\n")) == "checksum requires HTTP(S) or Git sources");
  CHECK(build.message(cat("FROM a\nADD --checksum=", good, " https://h/x https://h/y /\n")) ==
        "checksum can't be specified for multiple sources");
}

TEST_CASE("ADD of a repository is pinned to a commit") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  const std::string commit(40, 'c'), tag(40, 'd');
  build.pinner.commits["https://h/x.git#v1"] = {commit, tag};
  build.pinner.commits["https://h/x.git#"] = {commit, ""};
  Lowered lowered = build.run("FROM a\nADD --keep-git-dir https://h/x.git#v1:sub /y\n");
  CHECK(last_op<solver::GitSource>(lowered) == solver::GitSource{"https://h/x.git", commit, "v1", "sub", true, true});
  CHECK(copy_of(lowered).sources == Texts{"."});
  CHECK(copy_of(lowered).destination == "/y");
  lowered = build.run("FROM a\nADD https://h/x.git?submodules=0&keep-git-dir=1 /y\n");
  CHECK(last_op<solver::GitSource>(lowered) == solver::GitSource{"https://h/x.git", commit, "", "", true, false});
  CHECK(build.message("FROM a\nADD --keep-git-dir=false https://h/x.git?keep-git-dir=1 /y\n") ==
        "inconsistent keep-git-dir configuration");
}

TEST_CASE("checksums of repositories") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  const std::string commit = "c" + std::string(39, '1'), tag = "d" + std::string(39, '2');
  build.pinner.commits["https://h/x.git#v1"] = {commit, tag};
  build.pinner.commits["https://h/x.git#main"] = {commit, ""};
  CHECK(build.message("FROM a\nADD --checksum=c11 https://h/x.git#v1 /\n") == "");
  CHECK(build.message("FROM a\nADD --checksum=d22 https://h/x.git#v1 /\n") == "");
  CHECK(build.message("FROM a\nADD https://h/x.git?checksum=c1#v1 /\n") == "");
  CHECK(build.message("FROM a\nADD --checksum=e https://h/x.git#v1 /\n") ==
        cat("expected checksum to match e, got ", tag, " or ", commit));
  CHECK(build.message("FROM a\nADD --checksum=e https://h/x.git#main /\n") ==
        cat("expected checksum to match e, got ", commit));
  CHECK(build.message("FROM a\nADD --checksum=c1 https://h/x.git?checksum=c2 /\n") ==
        "checksum mismatch \"c1\" != \"c2\"");
}

TEST_CASE("a commit id needs no network") {
  Build build;
  const std::string commit(40, 'a');
  CHECK(last_op<solver::GitSource>(build.run(cat("FROM a\nADD https://h/x.git#", commit, " /\n"))).commit == commit);
  CHECK(last_op<solver::GitSource>(
            build.run(cat("FROM a\nADD https://h/x.git?ref=main&fetch-by-commit&checksum=", commit, " /\n")))
            .commit == commit);
  CHECK(build.message(cat("FROM a\nADD --checksum=b https://h/x.git#", commit, " /\n")) ==
        cat("expected checksum to match b, got ", commit));
}

TEST_CASE("a commit by checksum alone, and invalid refs") {
  Build build;
  const std::string commit(40, 'a');
  const auto git = [&](const std::string& query) {
    return build.message(cat("FROM a\nADD https://h/x.git", query, " /\n"));
  };
  CHECK(git("?fetch-by-commit=1") == "fetch-by-commit requires a checksum or a commit SHA ref");
  CHECK(git("?fetch-by-commit=1&checksum=abc") == "fetch-by-commit requires a full commit SHA checksum, got \"abc\"");
  CHECK(git("?checksum=xyz") == "invalid checksum xyz for Git URL, expected hex commit hash");
  CHECK(git("#--upload-pack=x") == "invalid git ref \"--upload-pack=x\"");
  const Lowered by_branch =
      build.run(cat("FROM a\nADD https://h/x.git?ref=main&fetch-by-commit&checksum=", commit, " /\n"));
  CHECK(last_op<solver::GitSource>(by_branch).ref == "refs/heads/main");
}

TEST_CASE("times of a checkout") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  build.pinner.commits["https://h/x.git#"] = {std::string(40, 'c'), "", "refs/heads/main"};
  CHECK(last_op<solver::GitSource>(build.run("FROM a\nADD https://h/x.git /\n")).commit_mtime);
  CHECK(last_op<solver::GitSource>(build.run("FROM a\nADD https://h/x.git?mtime=commit /\n")).commit_mtime);
  const Lowered lowered = build.run("FROM a\nADD https://h/x.git?mtime=checkout /\n");
  CHECK_FALSE(last_op<solver::GitSource>(lowered).commit_mtime);
  CHECK(last_op<solver::GitSource>(lowered).ref == "refs/heads/main");
}

TEST_CASE("errors of the network name the line") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  CHECK(
      build.error("FROM a\nADD https://h/missing /\n") ==
      "Dockerfile:2:1: error: https://h/missing: 404\n  2 | ADD https://h/missing /\n    | ^~~~~~~~~~~~~~~~~~~~~~~\n");
}

TEST_CASE("remote sources are refused without a network, and for COPY") {
  Build build;
  CHECK(build.message("FROM a\nADD https://h/x /\n") ==
        "no network sources are available in this call, and https://h/x is one");
  CHECK(build.message("FROM a\nADD git@h:x /\n") ==
        "no network sources are available in this call, and git@h:x is one");
  CHECK(build.message("FROM a\nCOPY https://h/x /\n") == "source can't be a URL for COPY");
  CHECK(build.message("FROM a\nCOPY https://h/x.git /\n") == "source can't be a git ref for COPY");
  CHECK(build.message("FROM a\nADD https://h/x.git?ref=a&ref=b /\n") == "query \"ref\" has multiple values");
}

TEST_CASE("sources of different kinds keep their order") {
  Build build;
  build.options.callbacks.pinner = &build.pinner;
  build.pinner.files["https://h/x"] = {sha256("1"), 0};
  const Lowered lowered = build.run("FROM a\nADD one two https://h/x three /d/\n");
  REQUIRE(file_of(lowered).actions.size() == 3);
  const auto sources = [&](std::size_t i) { return std::get<solver::CopyAction>(file_of(lowered).actions[i]).sources; };
  const auto input = [&](std::size_t i) { return std::get<solver::CopyAction>(file_of(lowered).actions[i]).input; };
  CHECK(sources(0) == Texts{"one", "two"});
  CHECK(sources(1) == Texts{"x"});
  CHECK(sources(2) == Texts{"three"});
  CHECK(input(0) == input(2));
  CHECK(input(0) != input(1));
}

TEST_CASE("no cache marks copies and both halves of a link") {
  Build build;
  build.options.no_cache = true;
  const Lowered lowered = build.run("FROM a\nCOPY x /\nCOPY --link y /\n");
  CHECK(result_vertex(lowered).ignore_cache);
  for (const solver::VertexId input : result_vertex(lowered).inputs) CHECK(lowered.graph[input].ignore_cache);
}

}  // namespace
}  // namespace cbuild::frontend
