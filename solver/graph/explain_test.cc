// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/explain.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::solver {
namespace {

using Parts = std::vector<KeyPart>;

std::vector<std::string> texts(const Parts& before, const Parts& now) {
  std::vector<std::string> out;
  for (const Difference& difference : differences(before, now)) out.push_back(difference.text);
  return out;
}

using Texts = std::vector<std::string>;

std::string digest(const char* content) { return sha256(content).str().substr(0, 39); }
std::string shown(const char* content) { return sha256(content).str().substr(0, 19); }

TEST_CASE("files: content, mode, owner, type, attributes, new, removed") {
  const Parts before{{"path a", cat("file 0644 0:0 size=1 ", digest("1"))}};
  const auto now = [&](const std::string& value) { return texts(before, {{"path a", value}}); };
  CHECK(now(before[0].value).empty());
  CHECK(now(cat("file 0644 0:0 size=2 ", digest("2"))) ==
        Texts{cat("a: content changed (", shown("1"), " -> ", shown("2"), ", 1 -> 2 bytes)")});
  CHECK(now(cat("file 0755 0:0 size=1 ", digest("1"))) == Texts{"a: mode changed (0644 -> 0755)"});
  CHECK(now(cat("file 0644 7:0 size=1 ", digest("1"))) == Texts{"a: owner changed (0:0 -> 7:0)"});
  CHECK(now(cat("symlink - 0:0 ", digest("1"))) == Texts{"a: type changed (file -> symlink)"});
  CHECK(
      now(cat("file 0644 0:0 size=1 xattrs=", digest("x"), " ", digest("1")))[0].starts_with("a: attributes changed"));
  CHECK(texts(before, {before[0], {"path b", "file 0644 0:0 size=0 x"}}) == Texts{"b: new"});
  CHECK(texts(before, {}) == Texts{"a: removed"});
  const std::vector<Difference> found = differences(before, {{"path a", cat("file 0644 0:0 size=2 ", digest("2"))}});
  CHECK(found[0].kind == Difference::Kind::file);
  CHECK(found[0].before == digest("1"));
  CHECK(found[0].after == digest("2"));
}

TEST_CASE("a symlink's target is not content") {
  CHECK(texts({{"path l", cat("symlink - 0:0 ", digest("1"))}}, {{"path l", cat("symlink - 0:0 ", digest("2"))}})[0]
            .starts_with("l: target changed"));
}

TEST_CASE("directories speak through the files that are listed") {
  const Parts before{{"path d", cat("directory 0755 0:0 open ", digest("1"))},
                     {"path d/x", cat("file 0644 0:0 size=1 ", digest("x"))}};
  Parts now = before;
  now[0].value = cat("directory 0755 0:0 open ", digest("2"));
  now[1].value = cat("file 0600 0:0 size=1 ", digest("x"));
  CHECK(texts(before, now) == Texts{"d/x: mode changed (0644 -> 0600)"});
  now[0].value = cat("directory 0700 0:0 open ", digest("1"));
  now[1] = before[1];
  CHECK(texts(before, now) == Texts{"d: mode changed (0755 -> 0700)"});
  // Too many files to list them now: the directory speaks for them.
  CHECK(texts(before, {{"path d", cat("directory 0755 0:0 ", digest("1"))}}).empty());
  CHECK(texts(before, {{"path d", cat("directory 0755 0:0 ", digest("2"))}}) ==
        Texts{cat("d: content changed (", shown("1"), " -> ", shown("2"), ")")});
}

TEST_CASE("of the root of a context only the entries count") {
  const Parts before{{"path .", cat("directory - - open ", digest("1"))},
                     {"path x", cat("file 0644 0:0 size=1 ", digest("x"))}};
  CHECK(texts(before, {{"path .", cat("directory - - open ", digest("2"))},
                       {"path x", cat("file 0644 0:0 size=1 ", digest("y"))}}) ==
        Texts{cat("x: content changed (", shown("x"), " -> ", shown("y"), ")")});
  CHECK(texts(before, {{"path .", cat("directory - - ", digest("1"))}}).empty());
}

TEST_CASE("a selection that is the same needs no list; one without a list speaks as a whole") {
  const Parts listed =
      selection_parts("stage build", sha256("1"), {{"app", cat("file 0755 0:0 size=1 ", digest("1"))}});
  CHECK(listed[1].label == "path stage build:/app");
  CHECK(texts(listed, selection_parts("stage build", sha256("1"), {})).empty());
  CHECK(texts(selection_parts("stage build", sha256("1"), {}), listed).empty());
  CHECK(texts(listed, selection_parts("stage build", sha256("2"), {})) == Texts{"files of stage build changed"});
  CHECK(texts(listed,
              selection_parts("stage build", sha256("2"), {{"app", cat("file 0755 0:0 size=2 ", digest("2"))}}))[0]
            .starts_with("stage build:/app: content changed"));
  Parts both = selection_parts("", sha256("3"), {{"a", cat("file 0644 0:0 size=1 ", digest("a"))}});
  both.insert(both.end(), listed.begin(), listed.end());
  Parts other = selection_parts("", sha256("4"), {{"a", cat("file 0644 0:0 size=1 ", digest("b"))}});
  const Parts unlisted = selection_parts("stage build", sha256("1"), {});
  other.insert(other.end(), unlisted.begin(), unlisted.end());
  CHECK(texts(both, other).size() == 1);
}

TEST_CASE("variables are named, their values are not") {
  const Parts before{{"command", "make"}, {"argument V", digest("1")}, {"variable E", digest("1")}};
  const std::vector<Difference> found = differences(
      before,
      {{"command", "make"}, {"argument V", digest("2")}, {"variable E", digest("2")}, {"argument N", digest("")}});
  REQUIRE(found.size() == 3);
  CHECK(found[0].text == "ARG V changed");
  CHECK(found[0].before.empty());
  CHECK(found[0].after.empty());
  CHECK(found[1].text == "ARG N is new");
  CHECK(found[2].text == "ENV E changed");
  CHECK(texts(before, {{"command", "make"}, {"argument V", digest("1")}}) == Texts{"ENV E is gone"});
  CHECK(texts({{"secret s", "1"}}, {{"secret s", "2"}}) == Texts{"secret s changed"});
}

TEST_CASE("base and earlier steps: the result counts, the name is shown") {
  const auto base = [](const char* identity, const char* name, const char* manifest) {
    return Parts{{"base 0", cat(sha256(identity).str(), " name=", name, " ", sha256(manifest).str())}};
  };
  CHECK(texts(base("1", "x:1", "m"), base("1", "y:1", "n")).empty());
  CHECK(texts(base("1", "x:1", "m"), base("2", "x:1", "n")) ==
        Texts{cat("base image x:1 changed (", shown("m"), " -> ", shown("n"), ")")});
  CHECK(texts(base("1", "x:1", "m"), base("2", "x:2", "n")) == Texts{"base image changed (x:1 -> x:2)"});
  const auto step = [](const char* identity, const char* name) {
    return Parts{{"step 0", cat(sha256(identity).str(), " ", name)}};
  };
  CHECK(texts(step("1", "[1/2] RUN a"), step("1", "[2/3] RUN a")).empty());
  CHECK(texts(step("1", "[1/2] RUN a"), step("2", "[2/3] RUN a")) ==
        Texts{"earlier step [2/3] RUN a: its output changed"});
}

TEST_CASE("own causes come before those from below, and options only when nothing else tells") {
  const Parts before{{"op", digest("1")}, {"command", "make"}, {"user", "root"}, {"step 0", "i1 RUN x"}};
  CHECK(texts(before, {{"op", digest("2")}, {"command", "make -j"}, {"user", "root"}, {"step 0", "i2 RUN x"}}) ==
        Texts{"the instruction changed (make -> make -j)", "earlier step RUN x: its output changed"});
  CHECK(texts(before, {{"op", digest("2")}, {"command", "make"}, {"step 0", "i1 RUN x"}}) ==
        Texts{"user changed (root -> none)"});
  CHECK(texts(before, {{"op", digest("2")}, {"command", "make"}, {"user", "me"}, {"step 0", "i1 RUN x"}}) ==
        Texts{"user changed (root -> me)"});
  CHECK(texts(before, {{"op", digest("2")}, {"command", "make"}, {"user", "root"}, {"step 0", "i1 RUN x"}}) ==
        Texts{"its options changed"});
}

TEST_CASE("the subject of a part is never a difference") {
  CHECK(texts({{"about project", "1"}}, {{"about project", "2"}}).empty());
  CHECK(texts({{"about project", "1"}}, {}).empty());
}

}  // namespace
}  // namespace cbuild::solver
