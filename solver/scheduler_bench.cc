// SPDX-License-Identifier: Apache-2.0
// The cost of the scheduler itself: steps that take no time, a store in memory. Prints the best of several runs.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/sys.h"
#include "base/text.h"
#include "solver/fakes.h"
#include "solver/scheduler.h"

namespace cbuild::solver {
namespace {

struct Shape {
  std::string name;
  Graph graph;
  VertexId target = kNoInput;
};

Shape chain(int length) {
  Shape shape{cat("chain of ", length), {}, kNoInput};
  shape.target = shape.graph.add(fakes::image("base"));
  for (int i = 0; i < length; ++i) shape.target = shape.graph.add(fakes::run(cat("step ", i), {shape.target}));
  return shape;
}

Shape wide(int width) {
  Shape shape{cat(width, " side by side"), {}, kNoInput};
  const VertexId base = shape.graph.add(fakes::image("base"));
  std::vector<VertexId> steps;
  for (int i = 0; i < width; ++i) steps.push_back(shape.graph.add(fakes::run(cat("step ", i), {base})));
  shape.target = shape.graph.add(fakes::merge("end", steps));
  return shape;
}

double milliseconds(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

std::int64_t solve_once(const Shape& shape, fakes::FakeStore& store) {
  fakes::FakeExecutor executor;
  const std::int64_t begin = sys::monotonic_ns();
  const SolveReport report = solve(shape.graph, {shape.target}, executor, store, {});
  CBUILD_CHECK(!report.failure);
  return sys::monotonic_ns() - begin;
}

void measure(const Shape& shape) {
  constexpr int kRuns = 7;
  std::int64_t cold = INT64_MAX, warm = INT64_MAX;
  for (int i = 0; i < kRuns; ++i) {
    fakes::FakeStore store;
    cold = std::min(cold, solve_once(shape, store));
    for (int j = 0; j < kRuns; ++j) warm = std::min(warm, solve_once(shape, store));
  }
  std::printf("%-20s cold %9.3f ms   warm %9.3f ms\n", shape.name.c_str(), milliseconds(cold), milliseconds(warm));
}

}  // namespace
}  // namespace cbuild::solver

int main() {
  using namespace cbuild::solver;
  for (const int length : {100, 1'000, 10'000}) measure(chain(length));
  measure(wide(1'000));
}
