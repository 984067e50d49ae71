// SPDX-License-Identifier: Apache-2.0
#include "oci/json.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::oci;
using Style = json::Writer::Style;

namespace {

std::string quote(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

ErrorCode parse_code(std::string_view text, std::size_t limit = 1u << 20) {
  try {
    json::parse_object(text, limit, "test");
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

}  // namespace

TEST_CASE("strings are escaped as Go escapes them") {
  CHECK(quote("plain") == R"("plain")");
  CHECK(quote("<a href=\"x\">&\\") == R"("\u003ca href=\"x\"\u003e\u0026\\")");
  CHECK(quote("\b\f\n\r\t") == R"("\b\f\n\r\t")");
  CHECK(quote(std::string_view("\0\x1f\x7f", 3)) == "\"\\u0000\\u001f\x7f\"");
  CHECK(quote("\u00e9\u2603\U0001F600") == "\"\u00e9\u2603\U0001F600\"");
  CHECK(quote("\u2028\u2029\u2030") == "\"\\u2028\\u2029\u2030\"");
}

TEST_CASE("bad UTF-8 becomes the replacement character, byte by byte") {
  CHECK(quote("a\xff") == R"("a\ufffd")");
  CHECK(quote("\xc0\x80") == R"("\ufffd\ufffd")");
  CHECK(quote("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
  CHECK(quote("\xe2\x82") == R"("\ufffd\ufffd")");
  CHECK(quote("\xf4\x90\x80\x80") == R"("\ufffd\ufffd\ufffd\ufffd")");
  CHECK(quote("\xe0\x80\x80"
              "b") == R"("\ufffd\ufffd\ufffdb")");
}

TEST_CASE("the writer nests") {
  const auto write = [](Style style) {
    json::Writer writer(style);
    writer.begin_object().key("a").begin_array().number(1).number(-2).end_array();
    writer.key("b").begin_object().end_object().key("c").begin_array().end_array();
    writer.opt_text("skipped", "").opt_number("skipped", 0).opt_true("skipped", false);
    writer.opt_texts("skipped", {}).opt_text_map("skipped", {});
    writer.key("d").null().opt_true("e", true).opt_text_map("f", {{"k", "v"}}).opt_texts("g", {"x"});
    return writer.end_object().take();
  };
  CHECK(write(Style::compact) == R"({"a":[1,-2],"b":{},"c":[],"d":null,"e":true,"f":{"k":"v"},"g":["x"]})");
  CHECK(write(Style::indented) ==
        "{\n  \"a\": [\n    1,\n    -2\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": null,\n"
        "  \"e\": true,\n  \"f\": {\n    \"k\": \"v\"\n  },\n  \"g\": [\n    \"x\"\n  ]\n}");
}

TEST_CASE("hostile documents are refused at once") {
  CHECK(parse_code("{}") == ErrorCode::internal);
  CHECK(parse_code("{") == ErrorCode::corrupt);
  CHECK(parse_code("{} {}") == ErrorCode::corrupt);
  CHECK(parse_code("{\"a\":\"\xff\"}") == ErrorCode::corrupt);
  CHECK(parse_code("null") == ErrorCode::corrupt);
  CHECK(parse_code("{\"a\":1e999}") == ErrorCode::corrupt);
  CHECK(parse_code(std::string(2000, ' '), 1000) == ErrorCode::corrupt);
  CHECK(parse_code("{\"a\":" + std::string(500'000, '[')) == ErrorCode::corrupt);
  CHECK(parse_code("{\"a\":" + std::string(99, '[') + std::string(99, ']') + "}") == ErrorCode::internal);
  CHECK(parse_code("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}") == ErrorCode::corrupt);
  CHECK(parse_code("{\"a\":\"" + std::string(500, '[') + "\\\"[\"}") == ErrorCode::internal);
}

TEST_CASE("many members and repeated members take no quadratic time; the last one counts") {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"k" + std::to_string(i) + "\":1,";
  text += "\"k0\":2}";
  const auto value = json::parse_object(text, 8u << 20, "test");
  CHECK(json::integer(value, "k0") == 2);
}

TEST_CASE("canonical text of a value has sorted keys and Go's escapes") {
  const auto value = json::parse_object(R"({"z":[true,null,"<",-1,1.5],"a":{},"m":[]})", 1000, "test");
  CHECK(json::canonical(value) == R"({"a":{},"m":[],"z":[true,null,"\u003c",-1,1.5]})");
}

TEST_CASE("a document that is mostly a list is given out entry by entry") {
  std::vector<std::string> seen;
  const auto parse = [&](std::string_view text) {
    seen.clear();
    return json::parse_list(text, 1u << 20, "list", "entries",
                            [&](const nlohmann::json& entry) { seen.push_back(json::canonical(entry)); });
  };
  const nlohmann::json rest = parse(
      R"({"a":[{"x":1}],"entries":[{"n":1,"m":{"entries":[{"x":2}]}},{},{"n":[3]}],"version":1,"z":{"entries":[]}})");
  CHECK(seen == std::vector<std::string>{R"({"m":{"entries":[{"x":2}]},"n":1})", "{}", R"({"n":[3]})"});
  CHECK(json::integer(rest, "version") == 1);
  CHECK(rest["a"].size() == 1);
  CHECK(rest["entries"].empty());
  CHECK(parse("{}").empty());

  std::string many = R"({"entries":[)";
  for (int i = 0; i < 20'000; ++i) many += cat(i == 0 ? "" : ",", R"({"n":)", i, "}");
  parse(many + "]}");
  CHECK(seen.size() == 20'000);

  std::string wide = R"({"entries":[{"n":[)";
  for (int i = 0; i < 20'000; ++i) wide += i == 0 ? "0" : ",0";
  for (const std::string& bad : {wide + "]}]}", std::string(R"({"entries":[1]})"), std::string(R"({"entries":[[]]})"),
                                 std::string(R"({"entries":[{}]} x)"), std::string("[]"),
                                 cat(R"({"entries":[{"n":)", std::string(101, '['), std::string(101, ']'), "}]}")}) {
    CAPTURE(bad.substr(0, 40));
    CHECK_THROWS_AS(parse(bad), Error);
  }
}
