// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "base/test_wait.h"
#include "solver/executor.h"

/// The rules of every Executor, for the tests of each.
namespace cbuild::solver::conformance {

/// The parts of an executor's world that the suite needs.
struct ExecutorWorld {
  Executor& executor;
  Vertex directory;           ///< a LocalSource that holds a file "a" and a directory "d" with a file "b"
  ExecuteRequest works;       ///< ends with a result
  ExecuteRequest fails;       ///< a command that exits with 3
  ExecuteRequest impossible;  ///< ends with a failure before it began
};

inline Outcome outcome_of(Executor& executor, const ExecuteRequest& request) {
  std::promise<Outcome> promise;
  auto future = promise.get_future();
  executor.execute(request, [&](Outcome outcome) { promise.set_value(std::move(outcome)); });
  const test::Awaiting awaiting("the outcome of a step");
  return future.get();
}

inline void check_digests(Executor& executor, const Vertex& directory) {
  const auto digest = [&](std::vector<std::string> paths, std::vector<KeyPart>* parts = nullptr) {
    return executor.digest_local(directory, {.kind = Selector::Kind::paths, .paths = std::move(paths)}, parts);
  };
  std::vector<KeyPart> parts;
  const Digest a = digest({"a"}, &parts);
  CHECK(std::any_of(parts.begin(), parts.end(), [](const KeyPart& part) { return part.label == "a"; }));
  CHECK(digest({"a"}) == a);
  CHECK(digest({"d"}) != a);
  CHECK(digest({"."}) != a);
  try {
    digest({"missing"});
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
  }
}

inline void check_executor(const ExecutorWorld& world) {
  check_digests(world.executor, world.directory);
  const Outcome made = outcome_of(world.executor, world.works);
  REQUIRE(std::holds_alternative<Result>(made));
  const Result result = std::get<Result>(made);
  CHECK_FALSE(result.id.empty());
  CHECK_FALSE(result.identity.empty());
  CHECK(world.executor.rebase(world.works, result) == result);  // on the inputs that it was made on
  const Selector all{.kind = Selector::Kind::paths, .paths = {"."}};
  CHECK(world.executor.digest_result(result, all, nullptr) == world.executor.digest_result(result, all, nullptr));

  const Outcome failed = outcome_of(world.executor, world.fails);
  REQUIRE(std::holds_alternative<StepFailure>(failed));
  CHECK(std::get<StepFailure>(failed).exit_code == 3);
  CHECK(std::get<StepFailure>(failed).error.code() == ErrorCode::step_failed);
  CHECK(std::holds_alternative<StepFailure>(outcome_of(world.executor, world.impossible)));
  world.executor.cancel();
  world.executor.cancel();
}

}  // namespace cbuild::solver::conformance
