// SPDX-License-Identifier: Apache-2.0
// The cases of testdata/bake: files, and what buildx prints for them.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "bake/bake_files.h"
#include "bake/contexts.h"
#include "bake/print.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

using Json = nlohmann::json;

Json read_cases(const std::string& name) {
  std::ifstream in(std::string(CBUILD_TESTDATA) + "/bake/" + name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return Json::parse(text);
}

VariableSources sources_of(const Json& one) {
  VariableSources out;
  out.builtin = {{"BAKE_CMD_CONTEXT", "cwd://"}, {"BAKE_LOCAL_PLATFORM", "linux/amd64"}};
  out.environment = {{"HOME", "/home/someone"}};
  const Json environment = one.value("env", Json::object());
  for (const auto& [name, value] : environment.items()) out.environment[name] = value;
  for (const std::string& text : one.value("var", std::vector<std::string>{}))
    out.given[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  return out;
}

std::string print(const Json& one) {
  std::vector<BakeFile> files;
  for (const Json& file : one.at("files")) files.push_back({file[0], file[1]});
  const VariableSources sources = sources_of(one);
  const Config config = read_config(files, sources);
  const std::string list = one.value("list", "");
  const bool json = list.find("json") != std::string::npos;
  if (list.find("variables") != std::string::npos) return list_variables(config, json);
  if (list.find("targets") != std::string::npos) return list_targets(config, json);
  Resolved resolved =
      resolve(config, one.value("names", Strings{"default"}), one.value("set", Strings{}), sources.environment);
  settle_contexts(resolved);
  return to_json(resolved);
}

/// nullopt where it fails; the reason is in `reason`.
std::optional<std::string> try_print(const Json& one, std::string& reason) {
  try {
    return print(one);
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& diagnostic : error.diagnostics()) reason += render(diagnostic);
  } catch (const Error& error) {
    reason = error.what();
  }
  return std::nullopt;
}

void check_cases(const std::string& name) {
  const Json cases = read_cases(name);
  REQUIRE(!cases.empty());
  for (const Json& one : cases) {
    CAPTURE(one.at("name").get<std::string>());
    std::string reason;
    const auto output = try_print(one, reason);
    CAPTURE(reason);
    const Json& expected = one.at("output");
    CHECK(output.has_value() == !expected.is_null());
    if (output && !expected.is_null()) CHECK(*output == expected.get<std::string>());
    if (!output) CHECK_FALSE(reason.empty());
  }
}

TEST_CASE("bake files in HCL and JSON print what buildx prints") { check_cases("hcl.json"); }
TEST_CASE("compose files print what buildx prints") { check_cases("compose.json"); }

TEST_CASE("expressions have the values that they have in buildx") {
  const Json cases = read_cases("expressions.json");
  REQUIRE(cases.size() > 150);
  for (const Json& one : cases) {
    const std::string expression = one.at("expression");
    CAPTURE(expression);
    const std::string text = cat("target \"default\" {\n  args = {\n    X = jsonencode(", expression, ")\n  }\n}\n");
    std::string reason;
    const auto output = try_print({{"files", Json::array({Json::array({"docker-bake.hcl", text})})}}, reason);
    CAPTURE(reason);
    CHECK(output.has_value() == !one.at("value").is_null());
    if (!output || one.at("value").is_null()) continue;
    std::string value = Json::parse(*output).at("target").at("default").at("args").at("X");
    value = replace_all(replace_all(value, "$${", "${"), "%%{", "%{");
    CHECK(value == one.at("value").get<std::string>());
  }
}

}  // namespace
}  // namespace cbuild::bake
