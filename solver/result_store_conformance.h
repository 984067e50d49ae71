// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "base/digest.h"
#include "solver/executor.h"

/// The rules of every ResultStore, for the tests of each.
namespace cbuild::solver::conformance {

/// `store` is empty; `make` gives a result that exists in it, another one for each name.
inline void check_result_store(ResultStore& store, const std::function<Result(const std::string& name)>& make) {
  const Result first = make("first"), second = make("second");
  const Digest content = sha256("content");
  const auto found = [&](const std::string& key) { return store.find(sha256(key)); };
  const auto publication = [&](const std::string& definition, const Result& result, std::int64_t created_ns) {
    return Publication{sha256(definition), content, {result, created_ns, 22},
                       "stage/RUN make",   {},      {{"command", "make"}}};
  };
  CHECK_FALSE(found("content"));
  CHECK(store.explain_miss(publication("one", first, 0)).kind == Reason::Kind::never_built);

  store.publish(publication("one", first, 11));
  for (const char* key : {"one", "content"}) CHECK(found(key) == CachedResult{first, 11, 22});
  CHECK_FALSE(found("two"));

  // One more key for the same result.
  Publication more = publication("two", first, 11);
  more.parts.clear();
  store.publish(more);
  CHECK(found("two") == CachedResult{first, 11, 22});

  // The content key finds the newest; a definition key goes on finding the same one.
  store.publish(publication("three", second, 33));
  for (const char* key : {"three", "content"}) CHECK(found(key) == CachedResult{second, 33, 22});
  CHECK(found("one").value().result == first);

  Publication changed = publication("four", first, 0);
  changed.content_key = sha256("changed");
  changed.parts = {{"command", "make all"}};
  const Reason reason = store.explain_miss(changed);
  CHECK(reason.kind == Reason::Kind::changed);
  CHECK(reason.differences.size() == 1);
  changed.step = "stage/RUN other";
  CHECK(store.explain_miss(changed).kind == Reason::Kind::never_built);
}

/// A claim is held by one at a time.
inline void check_claims(ResultStore& store) {
  const Digest key = sha256("claimed");
  auto claim = store.try_claim(key);
  REQUIRE(claim);
  CHECK_FALSE(store.try_claim(key));
  CHECK(store.try_claim(sha256("another")));
  CHECK_FALSE(store.wait_claim(key, [] { return true; }));
  claim.reset();
  CHECK(store.wait_claim(key, [] { return false; }));
}

}  // namespace cbuild::solver::conformance
