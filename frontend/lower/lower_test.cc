// SPDX-License-Identifier: Apache-2.0
// Stages, bases, config and history; COPY, RUN, ONBUILD and named contexts have files of their own.
#include "frontend/lower/lower.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

using testing::Build;
using testing::FakeImages;
using testing::last_op;
using testing::own_history;
using testing::result_vertex;
using testing::step_names;
using Texts = std::vector<std::string>;

const oci::ContainerConfig& config_of(const Lowered& lowered) { return lowered.target.config.config; }

TEST_CASE("an image is pinned by its manifest, the config and its history are inherited, created is not") {
  Build build;
  const Lowered lowered = build.run("FROM busybox:1.36\n");
  const auto& image = std::get<solver::ImageSource>(result_vertex(lowered).op);
  const Digest manifest = sha256("busybox:1.36 for linux/amd64");
  CHECK(image == solver::ImageSource{manifest, "linux/amd64", oci::chain_id({sha256("layer")}), "fake://busybox:1.36"});
  CHECK(result_vertex(lowered).name == cat("[1/1] FROM docker.io/library/busybox:1.36@", manifest.str()));
  CHECK(lowered.target.config.created == "");
  CHECK(lowered.target.config.history == FakeImages::plain_image().history);
  CHECK(lowered.target.config.diff_ids == FakeImages::plain_image().diff_ids);
  CHECK(lowered.target.base_history == 1);
  CHECK(lowered.target.base_name == cat("docker.io/library/busybox:1.36@", manifest.str()));
  CHECK(lowered.target.base_digest == manifest);
  CHECK(lowered.target.layer_vertices.empty());
}

TEST_CASE("unknown fields of a base's config are dropped, as BuildKit does") {
  Build build;
  build.images.images["a"] = FakeImages::plain_image();
  build.images.images["a"].extra = {{"docker_version", "\"1\""}};
  build.images.images["a"].author = "someone";
  const Lowered lowered = build.run("FROM a\n");
  CHECK(lowered.target.config.extra.empty());
  CHECK(lowered.target.config.author == "someone");
}

TEST_CASE("scratch") {
  Build build;
  const Lowered lowered = build.run("FROM scratch\n");
  CHECK(lowered.target.result == solver::kNoInput);
  CHECK(lowered.target.config.platform.str() == "linux/amd64");
  CHECK(config_of(lowered).working_dir == "/");
  CHECK(config_of(lowered).env == Texts{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
  CHECK(lowered.target.base_name == "");
  CHECK(build.images.requests.empty());
}

TEST_CASE("an image without layers is scratch with a config") {
  Build build;
  build.images.images["empty"] = FakeImages::plain_image();
  build.images.images["empty"].diff_ids.clear();
  build.images.images["empty"].history.clear();
  const Lowered lowered = build.run("FROM empty\nCOPY x /\n");
  CHECK(result_vertex(lowered).inputs[0] == solver::kNoInput);
  CHECK(config_of(lowered).cmd == Texts{"sh"});
}

TEST_CASE("only stages that the target reaches are resolved and made") {
  Build build;
  const Lowered lowered = build.run(
      "FROM missing AS unused\nRUN x\nFROM a AS b\nRUN b\nFROM missing2\nFROM scratch AS last\nCOPY --from=b x /\n");
  CHECK(build.images.requests.size() == 1);
  CHECK(step_names(lowered).size() == 3);
  build.options.target = "b";
  CHECK(build.run("FROM a AS b\nRUN b\nFROM missing\n").target.stage_name == "b");
}

TEST_CASE("two stages that do the same share their vertices") {
  Build build;
  const Lowered lowered =
      build.run("FROM a AS x\nRUN y\nFROM a AS z\nRUN y\nFROM scratch\nCOPY --from=x 1 /\nCOPY --from=z 2 /\n");
  CHECK(lowered.graph.size() == 4);
  CHECK(build.images.requests.size() == 1);
}

TEST_CASE("a stage made of a stage starts from its files, config and history") {
  Build build;
  const Lowered lowered = build.run("FROM a AS x\nENV E=1\nWORKDIR /w\nLABEL l=1\nFROM x AS y\nRUN z\n");
  CHECK(step_names(lowered).back() == "[y 1/1] RUN z");
  CHECK(own_history(lowered) == Texts{"ENV E=1", "WORKDIR /w", "LABEL l=1", "RUN /bin/sh -c z # buildkit"});
  CHECK(lowered.target.layer_vertices.size() == 2);
  CHECK(lowered.target.base_history == 1);
  CHECK(lowered.target.base_name.starts_with("docker.io/library/a:latest@"));
}

TEST_CASE("a stage's config does not follow changes of other stages") {
  Build build;
  const Lowered lowered = build.run(
      "FROM scratch AS base\nLABEL marker=base\nFROM base AS sibling\nLABEL marker=sibling\nFROM base AS consumer\n"
      "COPY --from=sibling / /\n");
  CHECK(config_of(lowered).labels.at("marker") == "base");
}

TEST_CASE("step numbers are as wide as the total") {
  Build build;
  std::string text = "FROM a\n";
  for (int i = 0; i < 9; ++i) text += cat("RUN ", i, "\n");
  const Texts names = step_names(build.run(text));
  CHECK(names[1] == "[ 2/10] RUN 0");
  CHECK(names[9] == "[10/10] RUN 8");
}

TEST_CASE("instructions that count as steps") {
  Build build;
  const Lowered lowered = build.run("FROM a\nENV A=1\nWORKDIR /\nWORKDIR $A\nRUN true\n");
  CHECK(step_names(lowered)[1] == "[2/4] WORKDIR 1");
  CHECK(step_names(lowered)[2] == "[3/4] RUN true");
}

TEST_CASE("step names say the platform when several are built") {
  Build build;
  build.options.multi_platform = true;
  build.options.platform_given = true;
  build.options.target_platform = *oci::parse_platform("linux/arm64");
  const Texts names = step_names(
      build.run("FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nARG TARGETARCH\nRUN y\nFROM a\nCOPY --from=b x /\n"));
  REQUIRE(names.size() == 5);
  CHECK(names[0].starts_with("[linux/amd64 b 1/3] FROM "));
  CHECK(names[1] == "[linux/amd64 b 2/3] RUN x");
  CHECK(names[2] == "[linux/amd64->arm64 b 3/3] RUN y");
  CHECK(names[3].starts_with("[linux/arm64 stage-1 1/2] FROM "));
}

TEST_CASE("platforms") {
  Build build;
  build.options.target_platform = *oci::parse_platform("linux/arm64");
  build.options.platform_given = true;
  const Lowered lowered =
      build.run("FROM --platform=linux/s390x a AS x\nFROM b\nCOPY --from=x / /\nCOPY --from=c / /\n");
  using Requests = std::vector<std::pair<std::string, std::string>>;
  Requests sorted = build.images.requests;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == Requests{{"a", "linux/s390x"}, {"b", "linux/arm64"}, {"c", "linux/arm64"}});
  CHECK(lowered.target.config.platform.str() == "linux/arm64");
}

TEST_CASE("scratch is of the target platform whatever FROM says") {
  Build build;
  CHECK(build.run("FROM --platform=linux/arm64 scratch\n").target.config.platform.str() == "linux/amd64");
}

TEST_CASE("without --platform an image of another architecture is taken as it is") {
  Build build;
  build.images.images["armbox"] = FakeImages::plain_image();
  build.images.images["armbox"].platform = *oci::parse_platform("linux/arm64");
  SUBCASE("by default") {
    const Lowered lowered = build.run("FROM armbox\nRUN x\n");
    CHECK(last_op<solver::ImageSource>(lowered).platform == "linux/arm64");
    CHECK(last_op<solver::ExecOp>(lowered).platform == "linux/arm64");
    CHECK(lowered.target.config.platform.str() == "linux/arm64");
  }
  SUBCASE("but not when the build names one") {
    build.options.platform_given = true;
    const Lowered lowered = build.run("FROM armbox\nRUN x\n");
    CHECK(last_op<solver::ExecOp>(lowered).platform == "linux/amd64");
    CHECK(lowered.target.config.platform.str() == "linux/amd64");
  }
  SUBCASE("nor when FROM does") {
    CHECK(last_op<solver::ExecOp>(build.run("FROM --platform=linux/amd64 armbox\nRUN x\n")).platform == "linux/amd64");
  }
}

TEST_CASE("ENV sees the environment before the instruction, ARG goes item by item") {
  Build build;
  const Lowered lowered =
      build.run("FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\nARG a=1 b=$a\nENV b=$b\n");
  CHECK(own_history(lowered) ==
        Texts{"ENV abc=hello", "ENV abc=bye def=hello", "ENV ghi=bye", "ARG a=1 b=1", "ENV b=1"});
  CHECK(Texts(config_of(lowered).env.begin() + 1, config_of(lowered).env.end()) ==
        Texts{"abc=bye", "def=hello", "ghi=bye", "b=1"});
}

TEST_CASE("CMD and ENTRYPOINT") {
  Build build;
  Lowered lowered = build.run("FROM a\nENTRYPOINT [\"x\", \"y z\"]\n");
  CHECK_FALSE(config_of(lowered).cmd.has_value());
  CHECK(config_of(lowered).entrypoint == Texts{"x", "y z"});
  CHECK(own_history(lowered) == Texts{"ENTRYPOINT [\"x\" \"y z\"]"});
  CHECK_FALSE(config_of(lowered).args_escaped);

  lowered = build.run("FROM a\nCMD echo \"a\"\nENTRYPOINT x\n");
  CHECK(config_of(lowered).cmd == Texts{"/bin/sh", "-c", "echo \"a\""});
  CHECK(config_of(lowered).entrypoint == Texts{"/bin/sh", "-c", "x"});
  CHECK(config_of(lowered).args_escaped);
  CHECK(own_history(lowered).front() == R"(CMD ["/bin/sh" "-c" "echo \"a\""])");

  lowered = build.run("FROM a\nENTRYPOINT x\nCMD [\"y\"]\n");
  CHECK(config_of(lowered).cmd == Texts{"y"});
  lowered = build.run("FROM a AS b\nCMD [\"parent\"]\nFROM b\nENTRYPOINT [\"x\"]\n");
  CHECK_FALSE(config_of(lowered).cmd.has_value());
  lowered = build.run("FROM a\nENTRYPOINT []\nCMD []\n");
  CHECK_FALSE(config_of(lowered).entrypoint.has_value());
  CHECK_FALSE(config_of(lowered).cmd.has_value());
  CHECK(own_history(lowered) == Texts{"ENTRYPOINT []", "CMD []"});
}

TEST_CASE("SHELL holds for the instructions after it") {
  Build build;
  const Lowered lowered = build.run("FROM a\nSHELL [\"/bin/bash\", \"-c\"]\nCMD x\n");
  CHECK(config_of(lowered).shell == Texts{"/bin/bash", "-c"});
  CHECK(config_of(lowered).cmd == Texts{"/bin/bash", "-c", "x"});
  CHECK(own_history(lowered).front() == "SHELL [/bin/bash -c]");
}

TEST_CASE("WORKDIR makes a directory for the user, with the epoch as its time, and ignores no-cache") {
  Build build;
  build.options.no_cache = true;
  build.options.build_args = {{"SOURCE_DATE_EPOCH", "42"}};
  const Lowered lowered = build.run("FROM a\nUSER me\nWORKDIR /a/../b/\n");
  CHECK(std::get<solver::MakeDirAction>(last_op<solver::FileOp>(lowered).actions.at(0)) ==
        solver::MakeDirAction{"/b", 0755, "me", 42});
  CHECK_FALSE(result_vertex(lowered).ignore_cache);
  CHECK(config_of(lowered).working_dir == "/a/../b/");
  CHECK(own_history(lowered).back() == "WORKDIR /a/../b/");
}

TEST_CASE("WORKDIR / makes no layer") {
  Build build;
  const Lowered lowered = build.run("FROM a\nWORKDIR x\nWORKDIR ..\n");
  CHECK(config_of(lowered).working_dir == "/");
  CHECK(lowered.target.layer_vertices.size() == 1);
  CHECK_FALSE(lowered.target.config.history[1].empty_layer);
  CHECK(lowered.target.config.history[2].empty_layer);
}

TEST_CASE("LABEL, MAINTAINER, USER, VOLUME, EXPOSE, STOPSIGNAL, HEALTHCHECK") {
  Build build;
  build.options.labels = {{"cli", "1"}, {"both", "cli"}};
  const Lowered lowered = build.run(
      "FROM scratch\nENV V=v P=90-91 N=9\nLABEL a=\"$V b\" both=file\nMAINTAINER Me $V\nUSER ${V}:g\nVOLUME /a "
      "$V\nVOLUME [\"/b c\"]\n"
      "EXPOSE 80 $P 53/UDP\nSTOPSIGNAL $N\n"
      "HEALTHCHECK --interval=5m --retries=2 CMD x $V\n");
  const oci::ContainerConfig& config = config_of(lowered);
  CHECK(config.labels == std::map<std::string, std::string>{{"a", "v b"}, {"both", "cli"}, {"cli", "1"}});
  CHECK(lowered.target.config.author == "Me $V");
  CHECK(config.user == "v:g");
  CHECK(config.volumes == std::set<std::string>{"/a", "v", "/b c"});
  CHECK(config.exposed_ports == std::set<std::string>{"80/tcp", "90/tcp", "91/tcp", "53/udp"});
  CHECK(config.healthcheck->test == Texts{"CMD-SHELL", "x $V"});
  CHECK(
      own_history(lowered) ==
      Texts{"ENV V=v P=90-91 N=9", "LABEL a=v b both=file", "MAINTAINER Me $V", "USER v:g", "VOLUME [/a v]",
            "VOLUME [/b c]", "EXPOSE [90/tcp 91/tcp 53/udp 80/tcp]", "STOPSIGNAL 9",
            "HEALTHCHECK {Test:[CMD-SHELL x $V] Interval:5m0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}"});
}

TEST_CASE("bad values of metadata instructions") {
  Build build;
  CHECK(build.message("FROM a\nSTOPSIGNAL SIGFOO\n") == "invalid signal: SIGFOO");
  CHECK(build.message("FROM a\nVOLUME $NOTHING\n") == "VOLUME specified can not be an empty string");
  CHECK(build.message("FROM a\nEXPOSE 80/x\n") == "invalid port: \"80/x\": invalid proto: x");
  CHECK(build.message("FROM a\nENV A=${B:?set_B}\n").find("set_B") != std::string::npos);
  CHECK(build.message("FROM a\nHEALTHCHECK --interval=1us CMD x\nFROM scratch\n") ==
        "Interval \"interval\" cannot be less than 1ms");
}

TEST_CASE("history times come from SOURCE_DATE_EPOCH") {
  Build build;
  const Lowered lowered = build.run("ARG SOURCE_DATE_EPOCH=1700000501\nFROM a\nENV A=1\nRUN x\n");
  CHECK(lowered.target.source_date_epoch == 1700000501);
  CHECK(lowered.target.config.history[0].created == "2024-01-02T03:04:05Z");
  CHECK(lowered.target.config.history[1].created == "2023-11-14T22:21:41Z");
  CHECK(lowered.target.config.history[2].created == "2023-11-14T22:21:41Z");
  CHECK(build.run("FROM a\nRUN x\n").target.config.history[1].created == "");
}

TEST_CASE("layer vertices stand for the entries that own a layer, in order") {
  Build build;
  const Lowered lowered = build.run("FROM a\nRUN 1\nENV A=1\nWORKDIR /w\nCOPY --link x /\nADD y /\n");
  const auto& history = lowered.target.config.history;
  const auto own =
      std::count_if(history.begin() + 1, history.end(), [](const auto& entry) { return !entry.empty_layer; });
  REQUIRE(static_cast<std::size_t>(own) == lowered.target.layer_vertices.size());
  CHECK(lowered.graph[lowered.target.layer_vertices[0]].name == "[2/5] RUN 1");
  CHECK(lowered.graph[lowered.target.layer_vertices[1]].name == "[3/5] WORKDIR /w");
  CHECK(lowered.graph[lowered.target.layer_vertices[2]].name == "[4/5] COPY --link x /");
  CHECK(lowered.graph[lowered.target.layer_vertices[3]].name == "[5/5] ADD y /");
}

TEST_CASE("vertices know their place and their stage") {
  Build build;
  const Lowered lowered = build.run("FROM a AS b\nRUN x \\\n  y\nFROM b\n");
  const solver::Vertex& run = result_vertex(lowered);
  CHECK(run.stage == "b");
  REQUIRE(run.spans.size() == 1);
  CHECK(run.spans[0].source->position(run.spans[0].begin).line == 2);
}

TEST_CASE("--no-cache-filter marks the named stages") {
  Build build;
  build.options.no_cache_filter = {"B"};
  const Lowered lowered = build.run("FROM a AS b\nRUN x\nFROM b AS c\nRUN y\n");
  CHECK_FALSE(result_vertex(lowered).ignore_cache);
  CHECK(lowered.graph[result_vertex(lowered).inputs[0]].ignore_cache);
}

TEST_CASE("errors of the resolver say where the image was asked for") {
  Build build;
  CHECK(build.error("FROM a AS base\nFROM missingbase\n") ==
        "Dockerfile:2:1: error: missingbase: not found\n  2 | FROM missingbase\n    | ^~~~~~~~~~~~~~~~\n");
  CHECK(build.error("FROM a AS missing-one\nFROM missing-onee AS x\n") ==
        "Dockerfile:2:1: error: missing-onee: not found (did you mean missing-one?)\n"
        "  2 | FROM missing-onee AS x\n    | ^~~~~~~~~~~~~~~~~~~~~~\n");
  CHECK(build.error("FROM a\nCOPY --from=missing x /\n") ==
        "Dockerfile:2:1: error: missing: not found\n  2 | COPY --from=missing x /\n    | ^~~~~~~~~~~~~~~~~~~~~~~\n");
}

TEST_CASE("a file without stages") {
  Build build;
  Dockerfile empty;
  CHECK_THROWS_AS(lower(empty, build.options, build.images), DiagnosticError);
}

TEST_CASE("build arguments without a meaning any more") {
  Build build;
  build.options.build_args = {{"BUILDKIT_DISABLE_FILEOP", "1"}};
  CHECK(build.message("FROM a\n") == "support for \"BUILDKIT_DISABLE_FILEOP\" build-arg was removed in BuildKit 0.11");
  build.options.build_args = {{"BUILDKIT_DISABLE_FILEOP", "maybe"}};
  CHECK(build.message("FROM a\n") == "");
}

TEST_CASE("a long chain of stages") {
  Build build;
  std::string text = "FROM a AS s0\n";
  for (int i = 1; i < 1000; ++i) text += cat("FROM s", i - 1, " AS s", i, "\nENV V", i, "=", i, "\nRUN ", i, "\n");
  const Lowered lowered = build.run(text);
  CHECK(lowered.graph.size() == 1000);
  CHECK(lowered.target.config.history.size() == 1999);
}

}  // namespace
}  // namespace cbuild::frontend
