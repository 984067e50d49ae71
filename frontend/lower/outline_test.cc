// SPDX-License-Identifier: Apache-2.0
// The parameters of a target. Cases in CamelCase are BuildKit's own tests.
#include "frontend/lower/outline.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "frontend/lower/lower_fixture.h"
#include "frontend/lower/outline_report.h"

namespace cbuild::frontend {
namespace {

using Json = nlohmann::json;
using Strings = std::vector<std::string>;

struct Outlined {
  std::shared_ptr<const SourceText> source;
  Outline outline;
};

Outlined outline_of(const std::string& text, const std::string& target = {},
                    const std::map<std::string, std::string>& build_args = {}) {
  testing::Build build;
  Outlined out{std::make_shared<const SourceText>("Dockerfile", text), {}};
  build.options.reports.outline = &out.outline;
  build.options.target = target;
  build.options.build_args = build_args;
  lower(parse_dockerfile(out.source), build.options, build.images);
  return out;
}

std::uint32_t line_of(const Span& span) { return span.source->position(span.begin).line; }

/// "line: NAME=value # description".
Strings args(const Outlined& outlined) {
  Strings out;
  for (const OutlineArg& arg : outlined.outline.args) {
    out.push_back(cat(line_of(arg.span), ": ", arg.name, "=", arg.value,
                      arg.description.empty() ? "" : cat(" # ", arg.description)));
  }
  return out;
}

Strings mounts(const std::vector<OutlineMount>& list) {
  Strings out;
  for (const OutlineMount& mount : list) {
    out.push_back(cat(line_of(mount.span), ": ", mount.id, mount.required ? "!" : ""));
  }
  return out;
}

constexpr const char* kArgs = R"(ARG inherited=box
ARG inherited2=box2
ARG unused=abc${inherited2}
# sfx is a suffix
ARG sfx="usy${inherited}"

FROM b${sfx} AS first
# this is not assigned to anything
ARG FOO=123
# BAR is a number
ARG BAR=456
RUN true

FROM alpine${unused} AS second
ARG BAZ
RUN true

FROM scratch AS third
ARG ABC=a
# check=skip=all
ARG password
# alternate_password will show up in the outline
# check=skip=all
ARG alternate_password

# target defines build target
FROM third AS target
COPY --from=first /etc/passwd /

FROM second
)";

TEST_CASE("OutlineArgs") {
  const Outlined outlined = outline_of(kArgs, "target", {{"BAR", "678"}});
  CHECK(outlined.outline.name == "target");
  CHECK(outlined.outline.description == "defines build target");
  CHECK(args(outlined) == Strings{"1: inherited=box", "5: sfx=usybox # is a suffix", "9: FOO=123",
                                  "11: BAR=678 # is a number", "19: ABC=a",
                                  "21: password=", "24: alternate_password= # will show up in the outline"});
}

TEST_CASE("OutlineSecrets") {
  const Outlined outlined = outline_of(
      "FROM busybox AS first\n"
      "RUN --mount=type=secret,target=/etc/passwd,required=true --mount=type=ssh true\n"
      "FROM alpine AS second\n"
      "RUN --mount=type=secret,id=unused --mount=type=ssh,id=ssh2 true\n"
      "FROM busybox AS third\n"
      "ARG BAR\n"
      "RUN --mount=type=secret,id=second${BAR} --mount=type=cache,target=/root/.cache true\n"
      "FROM third AS target\n"
      "COPY --from=first /foo /\n"
      "RUN --mount=type=ssh,id=ssh3,required --mount=type=cache,id=go,target=/go true\n"
      "FROM second\n",
      "target", {{"BAR", "678"}});
  CHECK(mounts(outlined.outline.secrets) == Strings{"2: passwd!", "7: second678"});
  CHECK(mounts(outlined.outline.ssh) == Strings{"2: default", "10: ssh3!"});
  CHECK(mounts(outlined.outline.caches) == Strings{"7: /root/.cache", "10: go"});
}

TEST_CASE("OutlineRecursiveArgs") {
  CHECK(args(outline_of("ARG FOO=123\nARG ABC=abc\nARG DEF=def\nARG FOO=${FOO}${ABC}\nARG BAR=${FOO}456\n"
                        "ARG FOO=${FOO}456${BAR}\nFROM scratch\nARG FOO\nARG INFOO=123\nARG INBAR=${INFOO}456\n"
                        "ARG INFOO=${INFOO}456${INBAR}\n")) == Strings{"2: ABC=abc", "5: BAR=123abc456",
                                                                       "6: FOO=123abc456123abc456", "10: INBAR=123456",
                                                                       "11: INFOO=123456123456"});
}

TEST_CASE("automatic arguments are nobody's to give") {
  CHECK(args(outline_of("FROM --platform=$BUILDPLATFORM busybox\nARG TARGETARCH\nARG OWN\n")) == Strings{"3: OWN="});
}

TEST_CASE("a long chain of arguments") {
  std::string text = "ARG A0=x\n";
  for (int i = 1; i < 2000; ++i) text += cat("ARG A", i, "=$A", i - 1, "\n");
  CHECK(args(outline_of(text + "FROM busybox:$A1999\n")).size() == 2000);
}

TEST_CASE("outline as text") {
  CHECK(outline_text(outline_of(kArgs, "target", {{"BAR", "678"}}).outline) ==
        "TARGET:      target\n"
        "DESCRIPTION: defines build target\n"
        "\n"
        "BUILD ARG            VALUE    DESCRIPTION\n"
        "inherited            box      \n"
        "sfx                  usybox   is a suffix\n"
        "FOO                  123      \n"
        "BAR                  678      is a number\n"
        "ABC                  a        \n"
        "password                      \n"
        "alternate_password            will show up in the outline\n"
        "\n");
  CHECK(outline_text(outline_of("FROM busybox\nRUN --mount=type=secret,id=a,required --mount=type=secret,id=long-name "
                                "--mount=type=ssh --mount=type=cache,target=/c true\n")
                         .outline) ==
        "SECRET      REQUIRED\n"
        "a           true\n"
        "long-name   \n"
        "\n"
        "SSH       REQUIRED\n"
        "default   \n"
        "\n"
        "CACHE MOUNT\n"
        "/c\n"
        "\n");
  CHECK(outline_text(outline_of("FROM scratch\n").outline).empty());
}

TEST_CASE("outline as JSON") {
  const std::string text =
      "# t makes it\nFROM scratch AS t\n# A is one\nARG A=1 B\nRUN --mount=type=secret,id=s,required x\n";
  const Outlined outlined = outline_of(text);
  const Json json = Json::parse(outline_json(outlined.outline, {outlined.source}));
  const auto at = [](int line) {
    return Json{{"ranges", Json::array({{{"start", {{"line", line}}}, {"end", {{"line", line}}}}})}};
  };
  const Json expected = {{"name", "t"},
                         {"description", "makes it"},
                         {"args",
                          {{{"name", "A"}, {"description", "is one"}, {"value", "1"}, {"location", at(4)}},
                           {{"name", "B"}, {"location", at(4)}}}},
                         {"secrets", Json::array({{{"name", "s"}, {"required", true}, {"location", at(5)}}})},
                         {"sources", Json::array({base64_encode(text)})}};
  CHECK(json == expected);
}

constexpr const char* kTargets = R"(
# build defines stage for compiling the binary
FROM alpine AS build
RUN true

FROM busybox as second
RUN false

FROM --platform=$BUILDPLATFORM alpine
RUN false

# binary returns the compiled binary
FROM second AS binary
)";

TEST_CASE("TargetsList") {
  const auto source = std::make_shared<const SourceText>("Dockerfile", kTargets);
  const std::vector<TargetInfo> targets = list_targets(parse_dockerfile(source));
  CHECK(targets_text(targets) ==
        "TARGET           DESCRIPTION\n"
        "build            defines stage for compiling the binary\n"
        "second           \n"
        "                 \n"
        "binary (default) returns the compiled binary\n");
  const Json json = Json::parse(targets_json(targets, {source}));
  REQUIRE(json["targets"].size() == 4);
  const auto at = [](int line) {
    return Json{{"ranges", Json::array({{{"start", {{"line", line}}}, {"end", {{"line", line}}}}})}};
  };
  const Json build = {{"name", "build"},
                      {"description", "defines stage for compiling the binary"},
                      {"base", "alpine"},
                      {"location", at(3)}};
  const Json unnamed = {{"base", "alpine"}, {"platform", "$BUILDPLATFORM"}, {"location", at(9)}};
  const Json binary = {{"name", "binary"},
                       {"default", true},
                       {"description", "returns the compiled binary"},
                       {"base", "second"},
                       {"location", at(13)}};
  CHECK(json["targets"][0] == build);
  CHECK(json["targets"][2] == unnamed);
  CHECK(json["targets"][3] == binary);
  CHECK(json["sources"] == Json::array({base64_encode(kTargets)}));
}

TEST_CASE("OutlineDescribeDefinition, TargetsDescribeDefinition") {
  CHECK(requests_text() ==
        "NAME                 VERSION DESCRIPTION\n"
        "outline              1.0.0   List all parameters current build target supports\n"
        "targets              1.0.0   List all targets current build supports\n"
        "lint                 1.0.0   Lint a Dockerfile\n"
        "subrequests.describe 1.0.0   List available subrequest types\n");
  const Json json = Json::parse(requests_json());
  REQUIRE(json.size() == 4);
  CHECK(json[0]["name"] == "frontend.outline");
  CHECK(json[0]["type"] == "rpc");
  CHECK(json[0]["opts"][0]["name"] == "target");
  CHECK(json[2]["metadata"].size() == 3);
}

}  // namespace
}  // namespace cbuild::frontend
