// SPDX-License-Identifier: Apache-2.0
#include "cache/objects/xml_text.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace cbuild;
using namespace cbuild::cache;

TEST_CASE("texts of elements by their path") {
  const std::string document =
      "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- c --><r:Error xmlns:r=\"x\"><Code>NoSuchKey</Code>"
      "<Message>a &amp; b &lt;&#x3a;&#58;&gt;&quot;&apos;</Message><Empty/><In a='1'>\n <Deep>1</Deep> "
      "</In></r:Error>\n";
  using Pair = std::pair<std::string, std::string>;
  CHECK(xml_texts(document) == std::vector<Pair>{{"Error/Code", "NoSuchKey"},
                                                 {"Error/Message", "a & b <::>\"'"},
                                                 {"Error/Empty", ""},
                                                 {"Error/In/Deep", "1"}});
  CHECK(xml_text(document, "Code") == "NoSuchKey");
  CHECK(xml_text(document, "In/Deep") == "1");
  CHECK(xml_text(document, "ode") == std::nullopt);
}

TEST_CASE("anything else is refused") {
  std::string deep;
  for (int i = 0; i < 21; ++i) deep += "<a>";
  for (const std::string& wrong :
       {std::string(), std::string("x"), std::string("<a>"), std::string("<a></b>"), std::string("<a/><b/>"),
        std::string("</a>"), std::string("<a"), std::string("<a:/>"), std::string("<>x</>"), std::string("<a>&x;</a>"),
        std::string("<a>&#0;</a>"), std::string("<a>&amp</a>"), std::string("<!DOCTYPE a><a/>"),
        std::string("<a><![CDATA[x]]></a>"), std::string("<!-- <a/>"), std::string("<a/>x"),
        std::string("<a>" + std::string(1 << 20, 'x') + "</a>"), deep}) {
    CAPTURE(wrong.substr(0, 40));
    CHECK_THROWS_AS(xml_texts(wrong), const Error&);
  }
}
