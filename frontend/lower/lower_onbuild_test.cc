// SPDX-License-Identifier: Apache-2.0
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

Build with_triggers(Texts triggers) {
  Build build;
  build.images.images["base"] = FakeImages::plain_image();
  build.images.images["base"].config.on_build = std::move(triggers);
  return build;
}

TEST_CASE("ONBUILD is stored raw and leaves no history") {
  Build build;
  const Lowered lowered = build.run("FROM scratch\nONBUILD RUN echo $A \"x\"\nONBUILD COPY <<EOF /f\nhi\nEOF\n");
  CHECK(lowered.target.config.config.on_build == Texts{"RUN echo $A \"x\"", "COPY <<EOF /f\nhi\nEOF"});
  CHECK(own_history(lowered).empty());
}

TEST_CASE("triggers of the base image run right after FROM, and are gone then") {
  Build build = with_triggers({"ENV A=1", "RUN echo $A"});
  const Lowered lowered = build.run("FROM base\nRUN own\n");
  CHECK(step_names(lowered)[1] == "[2/4] ONBUILD RUN echo 1");
  CHECK(step_names(lowered)[2] == "[3/4] RUN own");
  CHECK(own_history(lowered) == Texts{"ENV A=1", "RUN /bin/sh -c echo $A # buildkit", "RUN /bin/sh -c own # buildkit"});
  CHECK(lowered.target.config.config.on_build.empty());
  CHECK(lowered.notes == Texts{"# Executing 2 build triggers"});
}

TEST_CASE("a stage's triggers run in the stages made of it, not in those made of these") {
  Build build;
  const Lowered lowered = build.run("FROM a AS x\nONBUILD RUN trigger\nFROM x AS y\nFROM y AS z\nRUN own\n");
  CHECK(own_history(lowered) == Texts{"RUN /bin/sh -c trigger # buildkit", "RUN /bin/sh -c own # buildkit"});
  CHECK(lowered.notes == Texts{"# Executing 1 build trigger"});
  CHECK(lowered.target.config.config.on_build.empty());
}

TEST_CASE("a child's own triggers are kept for its image") {
  Build build = with_triggers({"RUN parent"});
  CHECK(build.run("FROM base\nONBUILD RUN child\n").target.config.config.on_build == Texts{"RUN child"});
}

TEST_CASE("triggers see the child's arguments and stages") {
  Build build = with_triggers({"ARG V=d", "COPY --from=tools /t$V /", "RUN --mount=from=more,target=/m x"});
  build.options.build_args = {{"V", "1"}};
  const Lowered lowered = build.run("FROM a AS tools\nRUN t\nFROM b AS more\nRUN m\nFROM base\n");
  const Texts names = step_names(lowered);
  CHECK(std::find(names.begin(), names.end(), "[tools 2/2] RUN t") != names.end());
  CHECK(std::find(names.begin(), names.end(), "[more 2/2] RUN m") != names.end());
  CHECK(own_history(lowered)[1] == "COPY /t1 / # buildkit");
}

TEST_CASE("triggers may need images that nothing else needs") {
  Build build = with_triggers({"COPY --from=tools:1 /t /"});
  build.run("FROM base\n");
  CHECK(build.images.requests.back().first == "tools:1");
}

TEST_CASE("a trigger's CMD counts as the child's own") {
  Build build = with_triggers({"CMD [\"t\"]"});
  CHECK(build.run("FROM base\nENTRYPOINT [\"e\"]\n").target.config.config.cmd == Texts{"t"});
}

TEST_CASE("triggers with heredocs") {
  Build build = with_triggers({"RUN <<EOF\necho 1\necho 2\nEOF"});
  const Lowered lowered = build.run("FROM base\n");
  CHECK(last_op<solver::ExecOp>(lowered).argv.back() == "echo 1\necho 2\n");
  CHECK(result_vertex(lowered).name == "[2/2] ONBUILD RUN <<EOF (echo 1...)");
}

TEST_CASE("triggers point at FROM") {
  Build build = with_triggers({"RUN x"});
  const Lowered lowered = build.run("\n\nFROM base\n");
  const Span span = result_vertex(lowered).spans.at(0);
  CHECK(span.source->name() == "Dockerfile");
  CHECK(span.source->position(span.begin).line == 3);
}

TEST_CASE("mistakes in a trigger are reported at FROM") {
  Build bad_flag = with_triggers({"RUN --network=bridge x"});
  CHECK(bad_flag.message("FROM base\n") == "ONBUILD RUN --network=bridge x: invalid network mode \"bridge\"");
  Build bad_mode = with_triggers({"COPY --chmod=9 x /"});
  CHECK(bad_mode.error("FROM base\n")
            .starts_with("Dockerfile:1:1: error: ONBUILD COPY --chmod=9 x /: invalid chmod parameter"));
  Build unknown = with_triggers({"FRMO x"});
  CHECK(unknown.error("FROM base\n").starts_with("Dockerfile:1:1: error: ONBUILD FRMO x: "));
  Build bad_from = with_triggers({"FROM x"});
  CHECK(bad_from.error("FROM base\n") != "");
  Build bad_index = with_triggers({"COPY --from=7 x /"});
  CHECK(bad_index.message("FROM base\n") == "ONBUILD COPY --from=7 x /: invalid stage index 7");
}

TEST_CASE("a trigger cannot copy from the stage it runs in") {
  Build build = with_triggers({"COPY --from=me x /"});
  CHECK(build.message("FROM base AS me\n") ==
        "ONBUILD COPY --from=me x /: cannot copy from stage \"me\", it needs to be defined before current stage \"\"");
}

TEST_CASE("triggers of a named context's image") {
  Build build;
  build.images.images["docker-image://other"] = FakeImages::plain_image();
  build.images.images["docker-image://other"].config.on_build = {"RUN t"};
  build.options.named_contexts = {{"base", "docker-image://other"}};
  CHECK(own_history(build.run("FROM base\n")) == Texts{"RUN /bin/sh -c t # buildkit"});
}

}  // namespace
}  // namespace cbuild::frontend
