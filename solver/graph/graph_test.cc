// SPDX-License-Identifier: Apache-2.0
#include "solver/graph/graph.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "solver/graph/test_vertices.h"

namespace cbuild::solver {
namespace {

using fakes::copy;
using fakes::directory;
using fakes::image;
using fakes::run;

using Ids = std::vector<VertexId>;

Span span_of(const std::shared_ptr<const SourceText>& text, std::size_t begin) { return {text, begin, begin + 1}; }

TEST_CASE("equal vertices are one") {
  const auto text = std::make_shared<const SourceText>("Dockerfile", "a\nb\n");
  Graph graph;
  const VertexId base = graph.add(image("a"));
  Vertex first = run("one", {base}, "make"), second = run("two", {base}, "make");
  first.spans = {span_of(text, 0)};
  second.spans = {span_of(text, 0), span_of(text, 2)};
  first.stage = "s";
  second.stage = "t";
  const VertexId id = graph.add(first);
  CHECK(graph.add(second) == id);
  CHECK(graph.size() == 2);
  CHECK(graph[id].name == "one");
  CHECK(graph[id].stage == "s");
  CHECK(graph[id].spans == std::vector<Span>{span_of(text, 0), span_of(text, 2)});
}

TEST_CASE("the kept one of two equal vertices takes the more generous limits") {
  Graph graph;
  Vertex tight = run("a", {kNoInput}), wide = tight;
  ExecSettings& t = tight.settings;
  ExecSettings& w = wide.settings;
  t.ulimits = {{"nofile", 10, 100}};
  t.timeout_ns = 5;
  t.shm_size = 9;
  t.resources = {.memory_bytes = 5, .cpu_shares = 7};
  w.ulimits = {{"nofile", 20, 50}, {"core", 1, 1}};
  w.timeout_ns = 0;
  w.retries = 3;
  w.resources = {.memory_bytes = 6};
  const VertexId id = graph.add(tight);
  REQUIRE(graph.add(wide) == id);
  const ExecSettings& kept = graph[id].settings;
  CHECK(kept.ulimits == std::vector<Ulimit>{{"nofile", 20, 100}, {"core", 1, 1}});
  CHECK(kept.timeout_ns == 0);
  CHECK(kept.shm_size == 9);
  CHECK(kept.retries == 3);
  CHECK(kept.resources == Resources{.memory_bytes = 6});
}

TEST_CASE("different vertices stay apart") {
  Graph graph;
  const VertexId base = graph.add(image("a")), other = graph.add(image("b"));
  const VertexId step = graph.add(run("x", {base}));
  CHECK(graph.add(run("x", {other})) != step);
  CHECK(graph.add(run("x", {kNoInput})) != step);
  CHECK(graph.add(run("x", {})) != graph.add(run("x", {kNoInput})));
  CHECK(graph.add(run("y", {base})) != step);
  // The same last name in two places is the same op on different selections.
  CHECK(graph.add(copy("c", base, other, "1/f")) != graph.add(copy("c", base, other, "2/f")));
}

TEST_CASE("a vertex that ignores the cache is told apart, and so are its readers") {
  Graph graph;
  const VertexId base = graph.add(image("a"));
  Vertex uncached = run("x", {base});
  uncached.ignore_cache = true;
  const VertexId normal = graph.add(run("x", {base})), ignoring = graph.add(uncached);
  CHECK(normal != ignoring);
  CHECK(graph.add(uncached) == ignoring);
  CHECK(graph.add(run("y", {normal})) != graph.add(run("y", {ignoring})));
}

TEST_CASE("reachable and dependents") {
  Graph graph;
  const VertexId base = graph.add(image("a"));
  const VertexId left = graph.add(run("l", {base})), right = graph.add(run("r", {base}));
  const VertexId both = graph.add(fakes::merge("m", {left, right, left, kNoInput}));
  CHECK(graph.reachable({right}) == Ids{base, right});
  CHECK(graph.reachable({both, kNoInput}) == Ids{base, left, right, both});
  CHECK(graph.reachable({left, right}) == Ids{base, left, right});
  CHECK(graph.reachable({kNoInput}).empty());
  CHECK(graph.dependents() == std::vector<Ids>{{left, right}, {both}, {both}, {}});
}

TEST_CASE("critical path") {
  Graph graph;
  const VertexId base = graph.add(image("a"));
  const VertexId left = graph.add(run("l", {base})), right = graph.add(run("r", {base}));
  const VertexId late = graph.add(run("late", {right}));
  const VertexId end = graph.add(fakes::merge("m", {left, late}));
  graph.add(run("after", {end}));
  CHECK(graph.critical_path(end, {1, 5, 2, 2, 1, 100}) == Ids{base, left, end});
  CHECK(graph.critical_path(end, {1, 5, 2, 4, 1, 100}) == Ids{base, right, late, end});
  CHECK(graph.critical_path(end, {1, 4, 2, 2, 1, 100}) == Ids{base, left, end});
  CHECK(graph.critical_path(base, {1, 1, 1, 1, 1, 1}) == Ids{base});
  CHECK(graph.critical_path(kNoInput, {}).empty());
}

TEST_CASE("a chain of 100,000 vertices costs no call frames") {
  constexpr std::size_t kLength = 100'000;
  Graph graph;
  VertexId last = graph.add(image("a"));
  for (std::size_t i = 1; i < kLength; ++i) last = graph.add(fakes::merge(std::to_string(i), {last, kNoInput}));
  REQUIRE(graph.size() == kLength);
  CHECK(graph.reachable({last}).size() == kLength);
  CHECK(graph.critical_path(last, std::vector<double>(kLength, 1.0)).size() == kLength);
}

}  // namespace
}  // namespace cbuild::solver
