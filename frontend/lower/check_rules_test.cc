// SPDX-License-Identifier: Apache-2.0
// Every rule: what sets it off, what does not, and what it says. Named after BuildKit's own tests. Here: rules about
// the content of an image.
#include "frontend/lower/check_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::ignoring;
using testing::Lint;
using testing::lint;
using testing::lint_all_stages;
using testing::Strings;

TEST_CASE("JSONArgsRecommended") {
  const auto recommended = [](const std::string& word) {
    return Strings{cat("JSONArgsRecommended: JSON arguments recommended for ", word,
                       " to prevent unintended behavior related to OS signals (line 2)")};
  };
  CHECK(lint("FROM scratch\nCMD mycommand\n") == recommended("CMD"));
  CHECK(lint("FROM scratch\nENTRYPOINT mycommand\n") == recommended("ENTRYPOINT"));
  CHECK(lint("FROM scratch\nCMD [\"mycommand\"]\nENTRYPOINT [\"x\"]\n").empty());
  CHECK(lint("FROM scratch\nSHELL [\"/usr/bin/customshell\"]\nCMD mycommand\n").empty());
  CHECK(lint("FROM scratch AS base\nSHELL [\"/usr/bin/customshell\"]\nFROM base\nENTRYPOINT mycommand\n").empty());
  CHECK(lint("FROM scratch\n# check=skip=JSONArgsRecommended\nCMD mycommand\n").empty());
  CHECK(lint("FROM scratch\n# check=skip=JSONArgsRecommended\nENTRYPOINT mycommand\n").empty());
}

TEST_CASE("WorkdirRelativePath") {
  CHECK(lint("FROM scratch\nWORKDIR app/\nWORKDIR again\n") ==
        Strings{"WorkdirRelativePath: Relative workdir \"app/\" can have unexpected results if the base "
                "image changes "
                "(line 2)"});
  CHECK(lint("FROM scratch AS a\nWORKDIR /app\nFROM a AS b\nWORKDIR subdir/\n").empty());
  CHECK(lint("FROM scratch\n# check=skip=WorkdirRelativePath\nWORKDIR app/\n").empty());
  CHECK(lint("FROM scratch\nARG dir=/app\nWORKDIR $dir\n").empty());
}

TEST_CASE("UnmatchedVars") {
  CHECK(lint("FROM scratch\nARG foo\nCOPY Dockerfile${foo} .\n").empty());
  CHECK(lint("FROM scratch AS base\nARG foo=Dockerfile\nFROM base\nCOPY $foo .\n").empty());
  CHECK(lint("FROM scratch\nRUN echo $UNKNOWN_TO_US\n").empty());
  CHECK(lint("FROM scratch\nCOPY $foo .\nARG foo=bar\nRUN echo $foo\n") ==
        Strings{"UndefinedVar: Usage of undefined variable '$foo' (line 2)"});
  CHECK(lint("FROM scratch\nARG DIR_BINARIES=b/\nARG DIR_ASSETS=a/\nARG DIR_CONFIG=c/\nCOPY $DIR_ASSET .\n") ==
        Strings{"UndefinedVar: Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?) (line 5)"});
  CHECK(lint("FROM scratch\nENV PATH=$PAHT:/tmp/bin\n") ==
        Strings{"UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?) (line 2)"});
  CHECK(lint("FROM scratch\n# check=skip=UndefinedVar\nENV A=$B\n").empty());
}

TEST_CASE("undefined variables in every place that is expanded") {
  CHECK(lint("FROM scratch\nARG A=$xxxx\nLABEL a=$yyyy\nUSER u$zzzz\nCOPY <<E /f\n$wwww\nE\nRUN "
             "--mount=type=cache,target=/c$vvvv true\n") ==
        Strings{"UndefinedVar: Usage of undefined variable '$xxxx' (line 2)",
                "UndefinedVar: Usage of undefined variable '$yyyy' (line 3)",
                "UndefinedVar: Usage of undefined variable '$zzzz' (line 4)",
                "UndefinedVar: Usage of undefined variable '$wwww' (line 5)",
                "UndefinedVar: Usage of undefined variable '$vvvv' (line 8)"});
  CHECK(lint("FROM scratch\nEXPOSE ${port:-80}\nCOPY <<'E' /f\n$wwww\nE\n").empty());
}

TEST_CASE("MultipleInstructionsDisallowed") {
  const auto multiple = [](const std::string& word, int line) {
    return cat("MultipleInstructionsDisallowed: Multiple ", word,
               " instructions should not be used in the same stage because only the last one will be used (line ", line,
               ")");
  };
  CHECK(lint("FROM scratch\nENTRYPOINT [\"/a\"]\nENTRYPOINT [\"/b\"]\nCMD [\"/a\"]\nCMD [\"/b\"]\n"
             "HEALTHCHECK CMD [\"/a\"]\nHEALTHCHECK CMD [\"/b\"]\n") ==
        Strings{multiple("ENTRYPOINT", 2), multiple("CMD", 4), multiple("HEALTHCHECK", 6)});
  CHECK(lint("FROM scratch\nENTRYPOINT [\"/a\"]\nCMD [\"/a\"]\nHEALTHCHECK CMD [\"/a\"]\nCOPY <<EOF "
             "/a.txt\nx\nEOF\n"
             "ENTRYPOINT [\"/b\"]\nCMD [\"/b\"]\nHEALTHCHECK CMD [\"/b\"]\n") ==
        Strings{multiple("ENTRYPOINT", 2), multiple("CMD", 3), multiple("HEALTHCHECK", 4)});
  CHECK(lint("FROM scratch AS a\nENTRYPOINT [\"/a\"]\nCMD [\"/a\"]\nHEALTHCHECK CMD [\"/a\"]\nFROM a AS b\n"
             "ENTRYPOINT [\"/b\"]\nCMD [\"/b\"]\nHEALTHCHECK CMD [\"/b\"]\n")
            .empty());
  const std::string skip = "# check=skip=MultipleInstructionsDisallowed\n";
  CHECK(lint(cat("FROM scratch\n", skip, "CMD [\"/a\"]\nCMD [\"/b\"]\n")).empty());
  CHECK(lint(cat("FROM scratch\nCMD [\"/a\"]\n", skip, "CMD [\"/b\"]\n")).empty());
}

TEST_CASE("LegacyKeyValueFormat") {
  const std::string env =
      "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format "
      "(line 2)";
  const std::string label =
      "LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format "
      "(line 3)";
  CHECK(lint("FROM scratch\nENV testkey value\nLABEL key value\n") == Strings{env, label});
  CHECK(lint("FROM scratch\nENV testkey=value\nLABEL key=value\n").empty());
  const std::string unreached = "FROM scratch AS a\nENV testkey value\nLABEL key value\nFROM scratch AS c\n";
  CHECK(lint(unreached).empty());
  CHECK(lint_all_stages(unreached) == Strings{env, label});
  CHECK(lint("FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV testkey value\n"
             "# check=skip=LegacyKeyValueFormat\nLABEL key value\n")
            .empty());
}

TEST_CASE("BaseImagePlatformMismatch") {
  testing::Build build;
  build.images.images["arm"] = testing::FakeImages::plain_image();
  build.images.images["arm"].platform = *oci::parse_platform("linux/arm64");
  const std::string warning =
      "InvalidBaseImagePlatform: Base image arm was pulled with platform \"linux/arm64\", expected "
      "\"linux/amd64\" for "
      "current build (line 1)";
  CHECK(Lint("FROM arm\n", build).warnings == Strings{warning});
  CHECK(Lint("FROM busybox\n", build).warnings.empty());
  CHECK(Lint("FROM arm AS unreached\nFROM busybox\n", build).warnings.empty());
  CHECK(
      Lint("# the base is only for arm\n# check=skip=InvalidBaseImagePlatform\n\nFROM arm\n", build).warnings.empty());
  build.options.platform_given = true;
  CHECK(Lint("FROM busybox\nCOPY --from=arm /a /b\n", build).warnings ==
        Strings{replace_all(warning, "(line 1)", "(line 2)")});
}

TEST_CASE("AllTargetUnmarshal") {
  const std::string text = "FROM scratch AS first\nCOPY $foo .\n\nFROM scratch AS second\nCOPY $bar .\n";
  const std::string foo = "UndefinedVar: Usage of undefined variable '$foo' (line 2)";
  const std::string bar = "UndefinedVar: Usage of undefined variable '$bar' (line 5)";
  CHECK(lint(text) == Strings{bar});
  CHECK(lint_all_stages(text) == Strings{foo, bar});
  testing::Build target;
  target.options.all_stages = true;
  target.options.target = "first";
  CHECK(Lint(text, target).warnings == Strings{foo});
}

TEST_CASE("SecretsUsedInArgOrEnv") {
  const auto secret = [](const std::string& what, int line) {
    return cat("SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (", what, ") (line ", line,
               ")");
  };
  CHECK(lint("FROM scratch\nARG SECRET_PASSPHRASE\nENV SUPER_Secret=foo\nENV password=bar secret=baz\n"
             "ARG super_duper_secret_token=foo auth=bar\nENV apikey=bar sunflower=foo\nENV git_key=\n") ==
        Strings{secret("ARG \"SECRET_PASSPHRASE\"", 2), secret("ENV \"SUPER_Secret\"", 3),
                secret("ENV \"password\"", 4), secret("ENV \"secret\"", 4),
                secret("ARG \"super_duper_secret_token\"", 5), secret("ARG \"auth\"", 5), secret("ENV \"apikey\"", 6),
                secret("ENV \"git_key\"", 7)});
  CHECK(lint("FROM scratch\nENV PUBLIC_KEY=\nARG public_token\nARG SECRET_PASSPHRASE_FILE\n"
             "ENV password_file=bar secret_File=baz\nARG AUTH_MODULE_VERSION\nENV monkey=1 authority=2\n")
            .empty());
  CHECK(lint("FROM scratch\n# check=skip=SecretsUsedInArgOrEnv // allowed here\nENV password=bar\n"
             "# check=skip=all // is local to only this instruction\nARG password\n")
            .empty());
  CHECK(lint("ARG TOKEN=1\nFROM scratch\n").empty());
}

TEST_CASE("CopyIgnoredFiles") {
  const auto ignored = [](const std::string& verb, const std::string& file, int line) {
    return cat("CopyIgnoredFile: Attempting to ", verb, " file \"", file, "\" that is excluded by .dockerignore (line ",
               line, ")");
  };
  const std::string text = "FROM scratch\nCOPY Dockerfile .\nADD Dockerfile /windy\n";
  CHECK(Lint(text, ignoring({"Dockerfile"})).warnings ==
        Strings{ignored("Copy", "Dockerfile", 2), ignored("Add", "Dockerfile", 3)});
  CHECK(Lint(cat("# check=skip=CopyIgnoredFile\n", text), ignoring({"Dockerfile"})).warnings.empty());
  CHECK(Lint("FROM scratch AS base\nCOPY Dockerfile /foobar\nFROM base\nCOPY --from=base /foobar /Dockerfile\n",
             ignoring({"foobar"}))
            .warnings.empty());
  CHECK(Lint("FROM scratch\nCOPY ./Dockerfile .\n", ignoring({"**", "!Dockerfile"})).warnings.empty());
  CHECK(Lint("FROM scratch\nCOPY . .\n", ignoring({"**", "!Dockerfile"})).warnings.empty());
  CHECK(Lint("FROM scratch\nCOPY ./a/../b/c.txt x/ /d/\n", ignoring({"b"})).warnings ==
        Strings{ignored("Copy", "b/c.txt", 2)});
}

TEST_CASE("CopyIgnoredFileContextRoot") {
  CHECK(Lint("FROM scratch\nCOPY . .\n", ignoring({".*"})).warnings.empty());
  CHECK(Lint("FROM scratch\nCOPY . .\n", ignoring({"*"})).warnings ==
        Strings{"CopyIgnoredFile: Attempting to Copy file \".\" that is excluded by .dockerignore (line 2)"});
}

TEST_CASE("ExposeProtoCasing") {
  const auto casing = [](const std::string& port) {
    return cat("ExposeProtoCasing: Defined protocol '", port, "' in EXPOSE instruction should be lowercase (line 2)");
  };
  CHECK(lint("FROM scratch\nEXPOSE 80/TcP 8080/TCP 8080/udp\n") == Strings{casing("80/TcP"), casing("8080/TCP")});
}

TEST_CASE("ExposeInvalidFormat") {
  const auto invalid = [](const std::string& port) {
    return cat(
        "ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
        "'",
        port, "' (line 2)");
  };
  CHECK(lint("FROM scratch\nEXPOSE 127.0.0.1:80:80 [::1]:8080:8080 5000:5000 8000\n") ==
        Strings{invalid("127.0.0.1:80:80"), invalid("5000:5000"), invalid("[::1]:8080:8080")});
  CHECK(lint("FROM scratch\nEXPOSE 80-90/udp\n").empty());
}

TEST_CASE("a trigger's findings are at the FROM that brings it") {
  testing::Build build;
  build.images.images["onbuild"] = testing::FakeImages::plain_image();
  build.images.images["onbuild"].config.on_build = {"ENV a b", "CMD x"};
  CHECK(Lint("FROM scratch\n\nFROM onbuild\nCMD [\"y\"]\n", build).warnings ==
        Strings{"LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" "
                "format (line 3)",
                "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior "
                "related to OS "
                "signals (line 3)",
                "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same "
                "stage because "
                "only the last one will be used (line 3)"});
}

}  // namespace
}  // namespace cbuild::frontend
