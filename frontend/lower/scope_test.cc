// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/scope.h"

#include <doctest/doctest.h>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::plain_options;
using Texts = std::vector<std::string>;

Dockerfile file_of(const std::string& text) {
  return parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text));
}

std::string value(const Variables& variables, std::string_view name) {
  const std::string* found = variables.find(name);
  return found == nullptr ? "<unset>" : *found;
}

ArgInstruction::Item item(const std::string& name, std::optional<std::string> default_value = {}) {
  ArgInstruction::Item out;
  out.name.value = name;
  if (default_value) out.default_value = Text{*default_value, {}};
  return out;
}

TEST_CASE("variables keep the order in which they were last set") {
  Variables variables;
  variables.set("A", "1");
  variables.set("B", "2");
  variables.set("A", "3");
  CHECK(variables.assignments() == Texts{"B=2", "A=3"});
  variables.erase("B");
  CHECK(variables.names() == Texts{"A"});
  CHECK(variables.environment()("A") == "3");
  CHECK_FALSE(variables.environment()("B").has_value());
}

TEST_CASE("setting many variables is setting each in order") {
  Variables one_by_one, at_once;
  const Texts entries = {"A=1", "B=2", "A=3", "C", "D==x"};
  for (Variables* variables : {&one_by_one, &at_once}) {
    variables->set("B", "old");
    variables->set("KEPT", "k");
  }
  for (const std::string& entry : entries) {
    const auto [name, value] = split_assignment(entry);
    one_by_one.set(name, std::string(value));
  }
  at_once.set_all(entries);
  CHECK(at_once == one_by_one);
  CHECK(at_once.assignments() == Texts{"KEPT=k", "B=2", "A=3", "C=", "D==x"});
}

TEST_CASE("automatic platform arguments") {
  LowerOptions options = plain_options();
  options.build_platform = *oci::parse_platform("linux/amd64");
  options.target_platform = *oci::parse_platform("linux/arm/v6");
  const GlobalScope scope = make_global_scope(file_of("FROM scratch AS last\n"), options);
  CHECK(value(scope.args, "BUILDPLATFORM") == "linux/amd64");
  CHECK(value(scope.args, "BUILDOS") == "linux");
  CHECK(value(scope.args, "BUILDARCH") == "amd64");
  CHECK(value(scope.args, "BUILDVARIANT") == "");
  CHECK(value(scope.args, "TARGETPLATFORM") == "linux/arm/v6");
  CHECK(value(scope.args, "TARGETOS") == "linux");
  CHECK(value(scope.args, "TARGETARCH") == "arm");
  CHECK(value(scope.args, "TARGETVARIANT") == "v6");
  CHECK(value(scope.args, "TARGETOSVERSION") == "");
  CHECK(value(scope.args, "TARGETSTAGE") == "last");
}

TEST_CASE("TARGETSTAGE is the wanted stage, the last one, or default") {
  LowerOptions options = plain_options();
  CHECK(value(make_global_scope(file_of("FROM scratch\n"), options).args, "TARGETSTAGE") == "default");
  options.target = "Dev";
  CHECK(value(make_global_scope(file_of("FROM scratch AS dev\n"), options).args, "TARGETSTAGE") == "Dev");
}

TEST_CASE("automatic arguments can be overridden") {
  LowerOptions options = plain_options();
  options.build_args = {{"TARGETARCH", "riscv64"}};
  CHECK(value(make_global_scope(file_of("FROM scratch\n"), options).args, "TARGETARCH") == "riscv64");
}

TEST_CASE("global arguments see earlier ones and the user's values win") {
  LowerOptions options = plain_options();
  options.build_args = {{"TAG", "edge"}};
  const Dockerfile file =
      file_of("ARG BASE=busybox TAG=1\nARG IMAGE=$BASE:$TAG\nARG EMPTY\nARG BASE=debian\nFROM $IMAGE\n");
  const GlobalScope scope = make_global_scope(file, options);
  CHECK(value(scope.args, "IMAGE") == "busybox:edge");
  CHECK(value(scope.args, "BASE") == "debian");
  CHECK(value(scope.args, "EMPTY") == "<unset>");
}

TEST_CASE("a default is not evaluated when the user gives a value") {
  LowerOptions options = plain_options();
  const Dockerfile file = file_of("ARG X=${Y:?no Y}\nFROM scratch\n");
  CHECK_THROWS_AS(make_global_scope(file, options), DiagnosticError);
  options.build_args = {{"X", "given"}};
  CHECK(value(make_global_scope(file, options).args, "X") == "given");
}

TEST_CASE("undeclared build arguments are ignored") {
  LowerOptions options = plain_options();
  options.build_args = {{"NOBODY", "1"}};
  CHECK(value(make_global_scope(file_of("FROM scratch\n"), options).args, "NOBODY") == "<unset>");
}

TEST_CASE("a stage's argument takes the user's value, its default, or the global one") {
  GlobalScope globals;
  globals.args.set("GLOBAL", "g");
  globals.build_args = {{"USER_GIVEN", "u"}};
  StageScope scope;
  CHECK(declare_arg(scope, item("USER_GIVEN", "default"), globals, '\\') == "USER_GIVEN=u");
  CHECK(declare_arg(scope, item("GLOBAL"), globals, '\\') == "GLOBAL=g");
  CHECK(declare_arg(scope, item("GLOBAL", "mine"), globals, '\\') == "GLOBAL=mine");
  CHECK(declare_arg(scope, item("CHAIN", "<$GLOBAL>"), globals, '\\') == "CHAIN=<mine>");
  CHECK(declare_arg(scope, item("NOTHING"), globals, '\\') == "NOTHING");
  CHECK(declare_arg(scope, item("EMPTY", ""), globals, '\\') == "EMPTY=");
  CHECK(scope.variables.assignments() == Texts{"USER_GIVEN=u", "GLOBAL=mine", "CHAIN=<mine>", "EMPTY="});
  CHECK(scope.declared.size() == 6);
}

TEST_CASE("arguments that steer attestations are declared but no variables") {
  StageScope scope;
  CHECK(declare_arg(scope, item("BUILDKIT_SBOM_SCAN_STAGE", "true"), {}, '\\') == "BUILDKIT_SBOM_SCAN_STAGE=true");
  CHECK(scope.variables.names().empty());
  CHECK(scope.declared.size() == 1);
}

TEST_CASE("proxies go to the environment in both cases") {
  CHECK(proxy_environment({{"FOO", "1"}}).empty());
  CHECK(proxy_environment({{"HTTP_PROXY", ""}}).empty());
  CHECK(proxy_environment(
            {{"no_proxy", "n"}, {"HTTP_PROXY", "h"}, {"Https_Proxy", "s"}, {"ftp_proxy", "f"}, {"ALL_PROXY", "a"}}) ==
        Texts{"HTTP_PROXY=h", "http_proxy=h", "HTTPS_PROXY=s", "https_proxy=s", "FTP_PROXY=f", "ftp_proxy=f",
              "NO_PROXY=n", "no_proxy=n", "ALL_PROXY=a", "all_proxy=a"});
  CHECK(proxy_environment({{"ALL_PROXY", "upper"}, {"all_proxy", "lower"}}) ==
        Texts{"ALL_PROXY=lower", "all_proxy=lower"});
}

TEST_CASE("SOURCE_DATE_EPOCH") {
  LowerOptions options = plain_options();
  const Dockerfile plain = file_of("FROM scratch\n"),
                   with_default = file_of("ARG SOURCE_DATE_EPOCH=1700000501\nFROM scratch\n");

  SUBCASE("is unset by default") { CHECK_FALSE(make_global_scope(plain, options).source_date_epoch.has_value()); }
  SUBCASE("comes from a global default") {
    const GlobalScope scope = make_global_scope(with_default, options);
    CHECK(scope.source_date_epoch == 1700000501);
    CHECK(value(scope.args, "SOURCE_DATE_EPOCH") == "1700000501");
  }
  SUBCASE("the user's value needs no declaration and wins") {
    options.build_args = {{"SOURCE_DATE_EPOCH", "+7"}};
    const GlobalScope scope = make_global_scope(with_default, options);
    CHECK(scope.source_date_epoch == 7);
    CHECK(scope.build_args.at("SOURCE_DATE_EPOCH") == "7");
    CHECK(value(scope.args, "SOURCE_DATE_EPOCH") == "7");
  }
  SUBCASE("an empty value and a local context unset it") {
    for (const std::string given : {"", "context"}) {
      options.build_args = {{"SOURCE_DATE_EPOCH", given}};
      const GlobalScope scope = make_global_scope(with_default, options);
      CHECK_FALSE(scope.source_date_epoch.has_value());
      CHECK_FALSE(scope.build_args.contains("SOURCE_DATE_EPOCH"));
      CHECK(value(scope.args, "SOURCE_DATE_EPOCH") == "<unset>");
    }
  }
  SUBCASE("anything else is an error where it was written") {
    try {
      make_global_scope(file_of("ARG SOURCE_DATE_EPOCH=yesterday\nFROM scratch\n"), options);
      FAIL("no error");
    } catch (const DiagnosticError& e) {
      CHECK(e.diagnostics().at(0).message == "invalid SOURCE_DATE_EPOCH: yesterday");
      CHECK(e.diagnostics().at(0).span.begin == 4);
    }
  }
}

}  // namespace
}  // namespace cbuild::frontend
