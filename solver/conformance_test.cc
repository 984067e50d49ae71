// SPDX-License-Identifier: Apache-2.0
// The fakes pass the same suites as the real ones, so a test of the scheduler with fakes proves something.
#include <doctest/doctest.h>

#include "solver/executor_conformance.h"
#include "solver/fakes.h"
#include "solver/result_store_conformance.h"

namespace cbuild::solver {
namespace {

TEST_CASE("the fake store is a result store") {
  fakes::FakeStore store;
  conformance::check_result_store(store, [](const std::string& name) {
    return Result{sha256(name), sha256(cat("identity of ", name))};
  });
  conformance::check_claims(store);
}

TEST_CASE("the fake executor is an executor") {
  fakes::FakeExecutor executor;
  executor.local["/context"] = {{"a", "1"}, {"d/b", "2"}};
  executor.failures.emplace("fails", StepFailure{Error(ErrorCode::step_failed, "exit code: 3"), 3, {}});
  executor.failures.emplace("impossible", StepFailure{Error(ErrorCode::unsupported, "no"), 0, {}});
  const Vertex works = fakes::run("works", {kNoInput}), fails = fakes::run("fails", {kNoInput}),
               impossible = fakes::run("impossible", {kNoInput});
  conformance::check_executor({executor,
                               fakes::directory("/context"),
                               {1, &works, {Result{}}, sha256("works")},
                               {2, &fails, {Result{}}, sha256("fails")},
                               {3, &impossible, {Result{}}, sha256("impossible")}});
}

}  // namespace
}  // namespace cbuild::solver
