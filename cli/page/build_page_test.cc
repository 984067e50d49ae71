// SPDX-License-Identifier: Apache-2.0
#include "cli/page/build_page.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

engine::BuildEntry build(const std::string& id, std::int64_t started_s, const std::string& name = "app:1") {
  engine::BuildEntry out;
  out.id = id;
  out.name = name;
  out.status = "ok";
  out.context = "/src";
  out.dockerfile = "Dockerfile";
  out.started_ns = started_s * 1'000'000'000;
  out.finished_ns = out.started_ns + 5;
  return out;
}

/// The document as the script of a page finds it.
Json document_in(const std::string& page) {
  const std::string begin = "id=\"data\">";
  const std::size_t from = page.find(begin) + begin.size();
  return Json::parse(page.substr(from, page.find("</script>", from) - from));
}

}  // namespace

TEST_CASE("a page holds its document, and texts of it cannot end the script") {
  const Json document{
      {"build", {{"name", "</script><script>alert(1)</script><!--"}}}, {"before", nullptr}, {"@STYLE@", 1}};
  const std::string page = page_of(document);
  CHECK(document_in(page) == document);
  CHECK(page.find("alert(1)</script>") == std::string::npos);
  CHECK(page.find("<!--") == std::string::npos);
  CHECK(page.find("@DATA@") == std::string::npos);
  CHECK(page.find("@SCRIPT@") == std::string::npos);
}

TEST_CASE("bytes that are not UTF-8 do not break a page") {
  const Json document{{"build", {{"name", "\xff"}}}};
  CHECK(document_in(page_of(document))["build"]["name"] == "\xEF\xBF\xBD");
}

TEST_CASE("a page loads nothing") {
  const std::string page = page_of({});
  CHECK(page.find("default-src 'none'") != std::string::npos);
  CHECK(page.find("src=") == std::string::npos);
  CHECK(page.find("@import") == std::string::npos);
}

TEST_CASE("the build before is the last one of the same Dockerfile, target and name") {
  const TempDir temp = TempDir::in_tmp("cbuild-page-test");
  cache::Store store({.root = temp.path() + "/store"});
  engine::BuildEntry last = build("d", 40);
  for (const engine::BuildEntry& entry : {build("a", 10), build("b", 20), build("c", 30, "other:1"), last})
    store.add_build(to_summary(entry));
  engine::BuildEntry target = build("e", 50);
  target.target = "test";
  store.add_build(to_summary(target));
  CHECK(page_document(store, last)["before"]["id"] == "b");
  CHECK(page_document(store, build("a", 10))["before"].is_null());
  CHECK(page_document(store, target)["before"].is_null());
  CHECK(page_document(store, last)["images"].empty());
}

}  // namespace cbuild::cli
