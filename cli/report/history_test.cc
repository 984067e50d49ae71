// SPDX-License-Identifier: Apache-2.0
#include "cli/report/history.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/report/history_export.h"

#include <nlohmann/json.hpp>

namespace cbuild::cli {
namespace {

engine::StepEntry step(std::uint32_t id, const std::string& name, const std::string& stage, const std::string& type,
                       std::uint32_t line) {
  engine::StepEntry out;
  out.id = id;
  out.name = name;
  out.stage = stage;
  out.type = type;
  out.line = line;
  out.state = "cached";
  return out;
}

engine::BuildEntry build(const std::string& id, std::int64_t started_ns) {
  engine::BuildEntry out;
  out.id = id;
  out.name = "app";
  out.status = "ok";
  out.started_ns = started_ns;
  out.steps = {step(0, "local context", "", "local", 0), step(1, "[build 1/2] FROM x", "build", "image", 1),
               step(2, "[build 2/2] RUN make", "build", "exec", 2),
               step(3, "[2/2] COPY --from=build /a /a", "", "file", 4)};
  return out;
}

TEST_CASE("references: the last one, the ones before it, ids and their beginnings") {
  const TempDir temp = TempDir::in_tmp("cbuild-history-test");
  cache::Store store({.root = temp.path() + "/store"});
  CHECK_THROWS_AS(find_build(store, ""), Error);
  const std::int64_t now = sys::now_ns();
  for (const auto& [id, at] : {std::pair{"aabb", now}, {"aacc", now + 1}, {"dd", now + 2}})
    store.add_build(engine::to_summary(build(id, at)));
  CHECK(find_build(store, "").id == "dd");
  CHECK(find_build(store, "^0").id == "dd");
  CHECK(find_build(store, "^").id == "aacc");
  CHECK(find_build(store, "^2").id == "aabb");
  CHECK(find_build(store, "aab").id == "aabb");
  CHECK(find_build(store, "d").id == "dd");
  CHECK(find_build(store, "aacc") == build("aacc", now + 1));
  for (const char* wrong : {"^3", "^x", "^-1", "aa", "zz"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(find_build(store, wrong), Error);
  }
}

TEST_CASE("steps: number, line, stage, part of a name") {
  const engine::BuildEntry entry = build("a", 1);
  const auto ids = [&](const std::string& text) {
    std::vector<std::uint32_t> out;
    for (const engine::StepEntry* found : find_steps(entry, text)) out.push_back(found->id);
    return out;
  };
  using Ids = std::vector<std::uint32_t>;
  CHECK(shown_steps(entry).size() == 3);
  CHECK(ids("2") == Ids{2});
  CHECK(ids(":4") == Ids{3});
  CHECK(ids("BUILD") == Ids{1, 2});
  CHECK(ids("run MAKE") == Ids{2});
  CHECK_THROWS_AS(ids("9"), Error);
  CHECK_THROWS_AS(ids(":9"), Error);
  CHECK_THROWS_AS(ids("RUN mak2"), Error);
}

TEST_CASE("an export has the logs and the key parts, but no digest of a variable") {
  const TempDir temp = TempDir::in_tmp("cbuild-history-test");
  cache::Store store({.root = temp.path() + "/store"});
  cache::Record record;
  record.key = sha256("key");
  record.step_name = "RUN make";
  record.parts = {{"command", "make"}, {"argument TOKEN", "sha256:confidential"}, {"about project", "p"}};
  store.publish(record);
  engine::BuildEntry entry = build("abc", sys::now_ns());
  entry.steps[2].key = sha256("key").hex();
  entry.steps[2].log = "logs/abc/2.log";
  entry.steps[3].log = "logs/../../outside";
  sys::mkdir_all(store.root_fd(), "logs/abc", 0700);
  sys::write_file_at(store.root_fd(), "logs/abc/2.log", "hello\n");
  const auto json = export_build(store, entry);
  const auto& exported = json["build"]["steps"][2];
  CHECK(exported["log_text"] == "hello\n");
  REQUIRE(exported["key_parts"].size() == 2);
  CHECK(exported["key_parts"][0]["value"] == "make");
  CHECK_FALSE(exported["key_parts"][1].contains("value"));
  CHECK(json.dump().find("confidential") == std::string::npos);
  CHECK(read_log(store, entry.steps[3]).empty());
  sys::write_file_at(store.root_fd(), "logs/abc/2.log", "\xff");
  CHECK(export_build(store, entry)["build"]["steps"][2]["log_base64"] == "/w==");
}

}  // namespace
}  // namespace cbuild::cli
