// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/step_identity.h"

#include <doctest/doctest.h>

#include <memory>

namespace cbuild::solver {
namespace {

TEST_CASE("the same step in another build: the instruction as written, not its place or its values") {
  const auto source = std::make_shared<SourceText>("Dockerfile", "FROM x\nRUN echo $V\n");
  Vertex vertex{ExecOp{}, {}, "[build 2/3] RUN echo 1", {Span{source, 7, 18}}, "build", false, {}};
  const std::string identity = step_identity(vertex);
  CHECK(identity == "build\n4\nRUN echo $V");
  vertex.name = "[build 3/4] RUN echo 2";
  CHECK(step_identity(vertex) == identity);
  CHECK(identity_scope(identity) == "build\n4");
  CHECK(written_name(vertex) == "[build 3/4] RUN echo $V");
  vertex.spans = {Span{source, 0, 6}};  // a trigger points to its FROM
  CHECK(step_identity(vertex) == "build\n4\nRUN echo 2");
  CHECK(written_name(vertex) == "[build 3/4] RUN echo 2");
  const auto long_source = std::make_shared<SourceText>("Dockerfile", "run a && \\\n   b <<E\nbody\nE\n");
  vertex.spans = {Span{long_source, 0, long_source->text().size()}};
  CHECK(written_name(vertex) == "[build 3/4] run a && b <<E");
  vertex.name = "RUN " + std::string(1000, 'x');
  vertex.spans.clear();
  CHECK(step_identity(vertex).size() < 300);
  CHECK(without_position("plain") == "plain");
}

}  // namespace
}  // namespace cbuild::solver
