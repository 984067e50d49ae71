// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/flags.h"

#include <doctest/doctest.h>

#include <array>

namespace cbuild::frontend {
namespace {

constexpr std::array<FlagSpec, 3> kSpecs = {
    {{"yes", FlagKind::boolean}, {"name", FlagKind::text}, {"item", FlagKind::list}}};

Flag flag(std::string name, std::optional<std::string> value = std::nullopt) {
  Flag out{{std::move(name), {}}, {}};
  if (value) out.value = Text{*value, {}};
  return out;
}

/// The messages and hints that checking gives.
std::vector<std::string> failures(const std::vector<Flag>& flags) {
  Report report;
  const FlagSet set(flags, kSpecs, report);
  std::vector<std::string> out;
  try {
    report.throw_errors();
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& d : error.diagnostics()) out.push_back(d.message + (d.hint.empty() ? "" : " / " + d.hint));
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST_CASE("values") {
  Report report;
  const std::vector<Flag> flags = {flag("yes"), flag("name", "x"), flag("item", "1"), flag("item", "")};
  const FlagSet set(flags, kSpecs, report);
  CHECK(report.ok());
  CHECK(set.boolean("yes") == true);
  CHECK(set.text("name")->value == "x");
  CHECK(set.list("item").size() == 2);
}

TEST_CASE("flags that were not given") {
  Report report;
  const std::vector<Flag> flags = {flag("name", "")};
  const FlagSet set(flags, kSpecs, report);
  CHECK_FALSE(set.boolean("yes"));
  CHECK_FALSE(set.text("name"));
  CHECK(set.list("item").empty());
}

TEST_CASE("booleans") {
  const auto value = [](std::string text) {
    Report report;
    const std::vector<Flag> flags = {flag("yes", std::move(text))};
    return FlagSet(flags, kSpecs, report).boolean("yes");
  };
  CHECK(value("true") == true);
  CHECK(value("TRUE") == true);
  CHECK(value("False") == false);
  CHECK(failures({flag("yes", "1")}) == Strings{"expecting boolean value for flag --yes, not: 1"});
  CHECK(failures({flag("yes", "")}) == Strings{"missing a value on flag: --yes / write --yes or --yes=false"});
}

TEST_CASE("mistakes are all reported") {
  CHECK(failures({flag("nam", "x"), flag("name"), flag("yes"), flag("yes"), flag("item")}) ==
        Strings{"unknown flag: --nam / did you mean name?", "missing a value on flag: --name / write --name=<value>",
                "duplicate flag specified: --yes", "missing a value on flag: --item / write --item=<value>"});
  CHECK(failures({flag("zzzzz")}) ==
        Strings{"unknown flag: --zzzzz / flags of this instruction: --yes, --name, --item"});
}

TEST_CASE("instructions without flags") {
  Report report;
  reject_flags({flag("x")}, report);
  CHECK_FALSE(report.ok());
}

}  // namespace
}  // namespace cbuild::frontend
