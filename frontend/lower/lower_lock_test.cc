// SPDX-License-Identifier: Apache-2.0
// Which sources a lock is asked about, and that its digests are taken; what an SBOM scan is asked to look at.
#include <doctest/doctest.h>

#include <map>

#include "frontend/lower/lower_fixture.h"
#include "frontend/stages/lower_remote.h"

namespace cbuild::frontend {
namespace {

using testing::Build;
using testing::last_op;
using Texts = std::vector<std::string>;

/// Answers from memory; a source that it does not know is as it is now.
struct FakeLock final : SourceLock {
  std::map<std::string, Digest> digests;
  std::map<std::string, std::string> commits;
  Texts asked;

  Digest lock_image(const std::string& name, const Span& where) override { return find(name, where); }
  Digest lock_url(const std::string& url, const Span& where) override { return find(url, where); }
  void lock_git(GitRef& ref, const Span& where) override {
    find(cat(ref.remote, "#", ref.ref), where);
    const auto known = commits.find(ref.ref);
    if (known == commits.end()) return;
    ref.checksum = known->second;
    ref.ref = "refs/heads/" + ref.ref;
  }
  void explain(Error& error) const override { error.add_context("locked"); }

 private:
  Digest find(const std::string& name, const Span& where) {
    asked.push_back(cat(name, ":", where.source->position(where.begin).line));
    const auto known = digests.find(name);
    return known == digests.end() ? Digest() : known->second;
  }
};

struct LockedBuild : Build {
  FakeLock lock;
  LockedBuild() {
    options.callbacks.lock = &lock;
    options.callbacks.pinner = &pinner;
  }
};

const std::string kCommit(40, 'c');

}  // namespace

TEST_CASE("images, URLs and repositories of the file are asked for, each at its line") {
  LockedBuild build;
  const Digest file = sha256("file");
  build.lock.digests = {{"docker.io/library/a:1", sha256("index")}, {"https://h/f", file}};
  build.lock.commits = {{"main", kCommit}};
  build.pinner.files["https://h/f"] = {file, std::nullopt};
  const Lowered lowered = build.run(
      "FROM a:1 AS x\nFROM scratch\nCOPY --from=x / /\nCOPY --from=b:2 / /\nADD https://h/f /\nADD "
      "https://h/r.git#main /\n");
  CHECK(build.lock.asked ==
        Texts{"docker.io/library/a:1:1", "docker.io/library/b:2:4", "https://h/f:5", "https://h/r.git#main:6"});
  REQUIRE(build.images.requests.size() == 2);
  CHECK(build.images.requests[0].first == cat("a:1@", sha256("index").str()));
  CHECK(build.images.requests[1].first == "b:2");
  REQUIRE(build.pinner.expectations.size() == 1);
  CHECK(build.pinner.expectations[0].second == file);
  const auto& git = last_op<solver::GitSource>(lowered);
  CHECK(git.commit == kCommit);  // the remote was not asked where main leads to
  CHECK(git.ref == "refs/heads/main");
}

TEST_CASE("sources that the file pins, and those of the command line, are not asked for") {
  LockedBuild build;
  build.options.named_contexts = {{"named", "docker-image://alpine:3"},
                                  {"files", "https://h/context"},
                                  {"repository", "https://h/context.git#main"}};
  build.pinner.files["https://h/f"] = build.pinner.files["https://h/context"] = {sha256("file"), std::nullopt};
  build.pinner.commits["https://h/context.git#main"] = build.pinner.commits["https://h/r.git#v1"] = {kCommit, "", ""};
  const std::string digest = sha256("x").str();
  build.run(cat("FROM a@", digest, "\nCOPY --from=named / /\nCOPY --from=files / /\nCOPY --from=repository / /\n",
                "ADD --checksum=", sha256("file").str(), " https://h/f /\nADD https://h/r.git#", kCommit, " /\n",
                "ADD --checksum=", kCommit, " https://h/r.git#v1 /\n"));
  CHECK(build.lock.asked.empty());
}

TEST_CASE("a failure to get what is locked is explained by the lock") {
  LockedBuild build;
  build.lock.digests = {{"docker.io/library/missing:latest", sha256("x")}, {"https://h/f", sha256("locked")}};
  build.pinner.files["https://h/f"] = {sha256("now"), std::nullopt};
  CHECK(build.message("FROM missing\n").starts_with("locked: "));
  const std::string moved = build.message("FROM scratch\nADD https://h/f /\n");
  CHECK(moved == cat("locked: digest mismatch for https://h/f: ", sha256("now").str(),
                     " (expected: ", sha256("locked").str(), ")"));
  build.lock.digests.clear();
  CHECK_FALSE(build.message("FROM missing\n").starts_with("locked: "));
}

TEST_CASE("ARGs add stages and the context to what is scanned for an SBOM") {
  const auto scanned = [](const std::string& text, const std::map<std::string, std::string>& args = {}) {
    Build build;
    build.options.scan_extras = true;
    build.options.build_args = args;
    const Lowered lowered = build.run(text);
    Texts out;
    for (const ScanExtra& extra : lowered.target.scan_extras) {
      CHECK(extra.root < lowered.graph.size());
      out.push_back(extra.name);
    }
    return out;
  };
  const std::string stages =
      "FROM a AS one\n%1FROM b AS two\n%2FROM c AS unused\n%2FROM scratch\n%3COPY --from=one / /\nCOPY --from=two / "
      "/\n";
  const auto with = [&](const char* above, const char* one, const char* two, const char* last) {
    return above + replace_all(replace_all(replace_all(stages, "%1", one), "%2", two), "%3", last);
  };
  const char* on = "ARG BUILDKIT_SBOM_SCAN_STAGE=true\n";
  const char* off = "ARG BUILDKIT_SBOM_SCAN_STAGE=false\n";
  const char* empty = "ARG BUILDKIT_SBOM_SCAN_STAGE\n";
  const char* context = "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n";
  const std::map<std::string, std::string> given = {{"BUILDKIT_SBOM_SCAN_STAGE", "two"}};
  CHECK(scanned(with("", "", "", "")) == Texts{});
  CHECK(scanned(with("", on, "", "")) == Texts{"one"});
  CHECK(scanned(with(on, "", "", "")) == Texts{"one", "two"});
  CHECK(scanned(with(on, off, "", "")) == Texts{"two"});
  CHECK(scanned(with("", "", on, on)) == Texts{"two"});  // the target itself is scanned anyway
  CHECK(scanned(with("ARG BUILDKIT_SBOM_SCAN_STAGE=x,one\n", "", "", "")) == Texts{"one"});
  CHECK(scanned(with("", "", "", ""), given) == Texts{});  // without an ARG
  CHECK(scanned(with("", empty, empty, ""), given) == Texts{"two"});
  CHECK(scanned(with("", context, "", "")) == Texts{});
  CHECK(scanned(with("", on, "", context)) == Texts{"context", "one"});
}

TEST_CASE("nothing is added to the graph of a build that is not scanned") {
  Build build;
  const Lowered lowered = build.run("ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nFROM scratch\nCOPY a /\n");
  CHECK(lowered.target.scan_extras.empty());
  CHECK(lowered.graph.size() == 2);
}

}  // namespace cbuild::frontend
