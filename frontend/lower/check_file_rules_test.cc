// SPDX-License-Identifier: Apache-2.0
// Every rule: what sets it off, what does not, and what it says. Named after BuildKit's own tests. Here: rules
// about the file and its FROMs.
#include "frontend/lower/check_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::Lint;
using testing::lint;
using testing::Strings;

TEST_CASE("StageName") {
  CHECK(lint("FROM scratch AS BadStageName\nFROM scratch as base2\nFROM scratch AS base3\n") ==
        Strings{"StageNameCasing: Stage name 'BadStageName' should be lowercase (line 1)",
                "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 2)"});
  CHECK(lint("from scratch AS base\nfrom scratch as base2\n") ==
        Strings{"FromAsCasing: 'AS' and 'from' keywords' casing do not match (line 1)"});
  CHECK(lint("FROM scratch AS a_b.c-1\n").empty());
}

TEST_CASE("NoEmptyContinuation") {
  CHECK(lint("FROM scratch\n# a\nCOPY Dockerfile \\\n\n.\nCOPY Dockerfile \\\n.\n") ==
        Strings{"NoEmptyContinuation: Empty continuation line (line 5)"});
  CHECK(lint("FROM scratch\n# check=skip=NoEmptyContinuation\nCOPY Dockerfile \\\n\n.\n").empty());
  CHECK(lint("FROM scratch\nCOPY Dockerfile \\\n# comments do not count\n.\n").empty());
}

TEST_CASE("ConsistentInstructionCasing") {
  const auto casing = [](const std::string& command, const std::string& majority, int line) {
    return Strings{cat("ConsistentInstructionCasing: Command '", command,
                       "' should match the case of the command majority (", majority, ") (line ", line, ")")};
  };
  CHECK(lint("From scratch as base\nFROM scratch AS base2\n") == casing("From", "uppercase", 1));
  CHECK(lint("FROM scratch\ncopy Dockerfile /foo\nCOPY Dockerfile /bar\n") == casing("copy", "uppercase", 2));
  CHECK(lint("frOM scratch as base\nfrom scratch as base2\n") == casing("frOM", "lowercase", 1));
  CHECK(lint("from scratch\nCOPY Dockerfile /foo\ncopy Dockerfile /bar\n") == casing("COPY", "lowercase", 2));
  CHECK(lint("from scratch\nCOPY a /a\nCOPY b /b\nCOPY c /c\n") == casing("from", "uppercase", 1));
  CHECK(lint("FROM scratch\ncopy a /a\ncopy b /b\ncopy c /c\n") == casing("FROM", "lowercase", 1));
  CHECK(lint("FROM scratch\ncopy a /a\n") == casing("copy", "uppercase", 2));
  CHECK(lint("from scratch\ncopy a /a\ncopy b /b\n").empty());
  CHECK(lint("FROM scratch\nCOPY a /a\nRUN <<'EOT'\nenv\nEOT\n").empty());
  CHECK(lint("arg A=1\nFROM scratch\nCOPY a /a\n").empty());
}

TEST_CASE("DuplicateStageName") {
  CHECK(lint("FROM scratch AS b\nFROM scratch AS b\n") ==
        Strings{"DuplicateStageName: Duplicate stage name \"b\", stage names should be unique (line 2)"});
  CHECK(lint("FROM scratch AS b1\nFROM scratch AS b2\n").empty());
  CHECK(lint("FROM scratch AS b\n# check=skip=DuplicateStageName\nFROM scratch AS b\n").empty());
}

TEST_CASE("ReservedStageName") {
  CHECK(lint("FROM scratch AS scratch\nFROM scratch AS context\n") ==
        Strings{"ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\" (line 1)",
                "ReservedStageName: Stage name should not use the same name as reserved stage \"context\" (line "
                "2)"});
  CHECK(lint("FROM scratch\nFROM scratch AS a\n").empty());
}

TEST_CASE("MaintainerDeprecated") {
  CHECK(lint("FROM scratch\nMAINTAINER me@example.org\n") ==
        Strings{"MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"});
  CHECK(lint("FROM scratch\nLABEL org.opencontainers.image.authors=\"me@example.org\"\n").empty());
  CHECK(lint("FROM scratch\n# check=skip=MaintainerDeprecated\nMAINTAINER me@example.org\n").empty());
}

TEST_CASE("WarningsBeforeError") {
  const Lint parsing("FROM scratch AS BadStageName\nMAINTAINER me@example.org\nBADCMD\n");
  CHECK(parsing.error == "unknown instruction: BADCMD");
  CHECK(parsing.warnings ==
        Strings{"StageNameCasing: Stage name 'BadStageName' should be lowercase (line 1)",
                "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"});
  const Lint lowering("FROM scratch AS A\nFROM ${BAR} AS base\n");
  CHECK(lowering.error == "base name (${BAR}) should not be blank");
  CHECK(lowering.warnings == Strings{"StageNameCasing: Stage name 'A' should be lowercase (line 1)",
                                     "InvalidDefaultArgInFrom: Default value for ARG ${BAR} results in empty "
                                     "or invalid base image name (line 2)",
                                     "UndefinedArgInFrom: FROM argument 'BAR' is not declared (line 2)"});
}

TEST_CASE("UndeclaredArg") {
  CHECK(lint("ARG base=scratch\nFROM $base\nCOPY Dockerfile .\n").empty());
  CHECK(lint("ARG BUILDPLATFORM=linux/amd64\nFROM --platform=$BUILDPLATFORM scratch\nCOPY Dockerfile .\n").empty());
  CHECK(lint("FROM --platform=$BUILDPLATFORM scratch\nCOPY Dockerfile .\n").empty());
  CHECK(lint("ARG DEBUG\nFROM scratch${DEBUG}\nCOPY Dockerfile .\n").empty());
  CHECK(lint("ARG DEBUG\nFROM scra${DEBUG:-tch}\nCOPY Dockerfile .\n").empty());
  CHECK(lint("ARG DEBUG=\"\"\nFROM scratch${DEBUG-@bogus}\nCOPY Dockerfile .\n").empty());
  const Lint typo("FROM --platform=$BULIDPLATFORM scratch\nCOPY Dockerfile .\n");
  CHECK(typo.error == "empty platform value from expression $BULIDPLATFORM");
  CHECK(typo.warnings == Strings{"UndefinedArgInFrom: FROM argument 'BULIDPLATFORM' is not declared (did you "
                                 "mean BUILDPLATFORM?) (line 1)"});
  const Lint part("ARG MY_OS=linux\nARG MY_ARCH=amd64\nFROM --platform=linux/${MYARCH} busybox\n");
  CHECK(part.warnings ==
        Strings{"UndefinedArgInFrom: FROM argument 'MYARCH' is not declared (did you mean MY_ARCH?) (line 3)"});
  CHECK(lint("ARG tag=latest\nFROM busybox:${tag}${version} AS b\nCOPY Dockerfile .\n") ==
        Strings{"UndefinedArgInFrom: FROM argument 'version' is not declared (line 2)"});
  CHECK(lint("ARG tag=latest\n# check=skip=UndefinedArgInFrom\nFROM busybox:${tag}${version} AS b\n").empty());
}

TEST_CASE("RedundantTargetPlatform") {
  const auto redundant = [](const std::string& written) {
    return Strings{cat("RedundantTargetPlatform: Setting platform to predefined ", written,
                       " in FROM is redundant as this is the default behavior (line 1)")};
  };
  CHECK(lint("FROM --platform=$TARGETPLATFORM scratch\n") == redundant("$TARGETPLATFORM"));
  CHECK(lint("FROM --platform=${TARGETPLATFORM} scratch\n") == redundant("${TARGETPLATFORM}"));
  CHECK(lint("\n# a\n# check=skip=RedundantTargetPlatform\nFROM --platform=$TARGETPLATFORM scratch\n").empty());
  CHECK(lint("FROM --platform=$TARGETOS/$TARGETARCH scratch\n").empty());
}

TEST_CASE("InvalidDefaultArgInFrom") {
  const auto invalid = [](const std::string& name) {
    return Strings{cat("InvalidDefaultArgInFrom: Default value for ARG ", name,
                       " results in empty or invalid base image name (line 2)")};
  };
  CHECK(Lint("ARG VERSION\nFROM busybox:$VERSION\n", {{"VERSION", "latest"}}).warnings == invalid("busybox:$VERSION"));
  CHECK(Lint("ARG IMAGE\nFROM $IMAGE\n", {{"IMAGE", "busybox:latest"}}).warnings == invalid("$IMAGE"));
  CHECK(Lint("ARG SFX=\"box:\"\nFROM busy${SFX}\n", {{"SFX", "box:latest"}}).warnings == invalid("busy${SFX}"));
  CHECK(Lint("ARG VERSION=\"latest\"\nFROM busybox:${VERSION}\n", {{"VERSION", "latest"}}).warnings.empty());
  CHECK(Lint("ARG V=\"\"\nFROM busybox:stable${V}\n", {{"V", "-musl"}}).error.empty());
  CHECK(Lint("ARG V\nFROM busybox:stable${V}\n", {{"V", ""}}).warnings.empty());
}

TEST_CASE("FromPlatformFlagConstDisallowed") {
  CHECK(lint("FROM --platform=linux/amd64 scratch\n") ==
        Strings{"FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "
                "\"linux/amd64\" "
                "(line 1)"});
  CHECK(lint("FROM --platform=linux/amd64 scratch AS my_amd64_stage\n").empty());
  CHECK(lint("FROM --platform=linux/amd64 scratch AS linux\n").empty());
  CHECK(lint("FROM --platform=$BUILDPLATFORM scratch\n").empty());
}

TEST_CASE("DefinitionDescription") {
  CHECK(lint("# check=skip=all;experimental=InvalidDefinitionDescription\n# foo this is the foo\nARG foo=bar\n"
             "# base this is the base image\nFROM scratch AS base\n# version this is the version number\n"
             "ARG version=latest\n# baz this is the baz\nARG foo=baz bar=qux baz=quux\n#\nARG bit=bat\n"
             "# comment for something other than ARG or FROM\nCOPY Dockerfile .\n")
            .empty());
  const auto wrong = [](const std::string& kind, const std::string& name, int line) {
    return cat("InvalidDefinitionDescription: Comment for ", kind, " should follow the format: `# ", name,
               " <description>` (line ", line, ")");
  };
  const std::string text =
      "# bar this is the bar\nARG foo=bar\n# BasE this is the BasE image\nFROM scratch AS base\n"
      "# definitely a bad comment\nARG version=latest\n# definitely a bad comment\n"
      "ARG foo=baz bar=qux baz=quux\n";
  CHECK(lint(cat("# check=experimental=InvalidDefinitionDescription\n", text)) ==
        Strings{wrong("ARG", "foo", 3), wrong("FROM", "base", 5), wrong("ARG", "version", 7),
                wrong("ARG", "<arg_key>", 9)});
  CHECK(lint(cat("# a plain comment\n", text)).empty());
  CHECK(lint("# check=experimental=all\nFROM scratch\n# check=skip=UndefinedVar\nARG foo=$bar\n").empty());
}

TEST_CASE("RuleCheckOption") {
  const std::string text = "FROM scratch as base\ncopy Dockerfile .\n";
  const Strings casing = {"FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 2)"};
  const auto with = [&](const std::string& options) { return cat("#check=", options, "\n", text); };
  CHECK(lint(with("skip=all")).empty());
  CHECK(lint(with("skip=all;error=true")).empty());
  CHECK(lint(with("skip=ConsistentInstructionCasing,FromAsCasing")).empty());
  CHECK(lint(with("skip=ConsistentInstructionCasing,FromAsCasing;error=true")).empty());
  CHECK(lint(with("skip=ConsistentInstructionCasing")) == casing);
  const Lint error(with("skip=ConsistentInstructionCasing;error=true"));
  CHECK(error.warnings == casing);
  CHECK(error.error == "lint violation found for rules: FromAsCasing");
  const Lint argument(with("skip=all"), {{"BUILDKIT_DOCKERFILE_CHECK", "skip=ConsistentInstructionCasing;error=true"}});
  CHECK(argument.warnings == casing);
  CHECK(argument.error == "lint violation found for rules: FromAsCasing");
  const Lint skipped(with("error=true"), {{"BUILDKIT_DOCKERFILE_CHECK", "skip=all"}});
  CHECK(skipped.warnings.empty());
  CHECK(skipped.error.empty());
}

}  // namespace
}  // namespace cbuild::frontend
