// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/check_report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using Json = nlohmann::json;

CheckResult check(const std::string& text) {
  testing::Build build;
  Checks checks;
  build.options.reports.checks = &checks;
  build.options.all_stages = true;
  const auto source = std::make_shared<const SourceText>("Dockerfile", text);
  CheckResult result;
  result.sources = {source};
  try {
    lower(parse_dockerfile(source, {.checks = &checks}), build.options, build.images);
  } catch (const DiagnosticError& e) {
    result.errors = e.diagnostics();
  }
  result.warnings = checks.findings();
  return result;
}

TEST_CASE("text of a clean file") {
  const CheckResult result = check("FROM scratch\n");
  CHECK(result.clean());
  CHECK(check_text(result) == "Check complete, no warnings found.\n");
}

TEST_CASE("text of warnings has the rule's page, the message and the lines") {
  const CheckResult result = check("FROM scratch AS Base\nRUN a \\\n\n  b\n");
  CHECK_FALSE(result.clean());
  CHECK(check_text(result) ==
        "Check complete, 2 warnings have been found!\n"
        "\n"
        "WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n"
        "Stage name 'Base' should be lowercase\n"
        "Dockerfile:1\n"
        "--------------------\n"
        "  1 | >>> FROM scratch AS Base\n"
        "  2 |     RUN a \\\n"
        "  3 |\n"
        "--------------------\n"
        "\n"
        "WARNING: NoEmptyContinuation - https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/\n"
        "Empty continuation line\n"
        "Dockerfile:4\n"
        "--------------------\n"
        "  2 |     RUN a \\\n"
        "  3 |\n"
        "  4 | >>>   b\n"
        "--------------------\n");
  CHECK(check_text(check("FROM scratch AS Base\n")).starts_with("Check complete, 1 warning has been found!\n"));
}

TEST_CASE("a rule without a page") {
  testing::Build build;
  Checks checks;
  build.options.reports.checks = &checks;
  build.images.images["arm"] = testing::FakeImages::plain_image();
  build.images.images["arm"].platform = *oci::parse_platform("linux/arm64");
  build.run("FROM arm\n");
  CHECK(check_text({checks.findings(), {}, {}}).find("\nWARNING: InvalidBaseImagePlatform\nBase image arm ") !=
        std::string::npos);
}

TEST_CASE("JSON has BuildKit's shape") {
  const std::string text = "FROM scratch\nMAINTAINER \\\n  me\n";
  const Json json = Json::parse(check_json(check(text)));
  const Json range = Json::array(
      {{{"start", {{"line", 2}}}, {"end", {{"line", 2}}}}, {{"start", {{"line", 3}}}, {"end", {{"line", 3}}}}});
  const Json warning = {
      {"ruleName", "MaintainerDeprecated"},
      {"description", "The MAINTAINER instruction is deprecated, use a label instead to define an image author"},
      {"url", "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/"},
      {"detail", "Maintainer instruction is deprecated in favor of using label"},
      {"location", {{"ranges", range}}}};
  CHECK(json["warnings"] == Json::array({warning}));
  const Json source = {{"filename", "Dockerfile"}, {"data", base64_encode(text)}, {"language", "Dockerfile"}};
  CHECK(json["sources"] == Json::array({source}));
  CHECK_FALSE(json.contains("buildError"));
}

TEST_CASE("JSON of a file that does not build") {
  const Json broken = Json::parse(check_json(check("FROM scratch AS A\nBADCMD\n")));
  CHECK(broken["warnings"].size() == 1);
  const Json range = Json::array({{{"start", {{"line", 2}}}, {"end", {{"line", 2}}}}});
  const Json error = {{"message", "unknown instruction: BADCMD"}, {"location", {{"ranges", range}}}};
  CHECK(broken["buildError"] == error);
  const Json violated = Json::parse(check_json(check("# check=error=true\nFROM scratch AS A\n")));
  CHECK(violated["buildError"]["message"] == "lint violation found for rules: StageNameCasing");
  CHECK(violated["buildError"]["location"] == Json::object());
}

}  // namespace
}  // namespace cbuild::frontend
