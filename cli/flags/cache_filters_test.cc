// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/cache_filters.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

cache::Usage::Item item(const std::string& kind, const std::string& id, const std::string& description) {
  cache::Usage::Item out;
  out.kind = kind;
  out.id = id;
  out.description = description;
  return out;
}

bool matches(const std::vector<std::string>& filters, const cache::Usage::Item& item) {
  const CacheFilters parsed = parse_cache_filters(filters);
  return !parsed.matches || parsed.matches(item);
}

TEST_CASE("filters on text: equal, unequal, patterns, prefixes of ids") {
  const auto layer = item("layer", "0123456789ab", "[2/3] RUN make x=y");
  CHECK(matches({}, layer));
  CHECK(matches({"id=0123456789ab"}, layer));
  CHECK(matches({"id=0123"}, layer));
  CHECK_FALSE(matches({"id=012"}, layer));
  CHECK_FALSE(matches({"id!=0123"}, layer));
  CHECK(matches({"description=[2/3] RUN make x=y"}, layer));
  CHECK(matches({"description~=RUN .* x=y"}, layer));
  CHECK(matches({"description!~^COPY"}, layer));
  CHECK_FALSE(matches({"description!~RUN"}, layer));
  CHECK_FALSE(matches({"id=0123", "description~=COPY"}, layer));
}

TEST_CASE("types by our names and by BuildKit's") {
  const auto layer = item("layer", "a", ""), mount = item("cachemount", "b", ""), scan = item("scan", "c", "");
  CHECK(matches({"type=layer"}, layer));
  CHECK(matches({"type=regular"}, layer));
  CHECK_FALSE(matches({"type!=regular"}, layer));
  CHECK(matches({"type=exec.cachemount"}, mount));
  CHECK(matches({"type==cachemount"}, mount));
  CHECK(matches({"type=source.local"}, scan));
  CHECK_FALSE(matches({"type=source.local"}, layer));
  CHECK(parse_cache_filters({"type=layer"}).by_type);
  CHECK_FALSE(parse_cache_filters({"inuse"}).by_type);
}

TEST_CASE("flags, with and without a value") {
  auto layer = item("layer", "a", "");
  const auto mount = item("cachemount", "b", "");
  CHECK(matches({"immutable"}, layer));
  CHECK(matches({"mutable"}, mount));
  CHECK_FALSE(matches({"mutable=true"}, layer));
  CHECK(matches({"mutable=false"}, layer));
  CHECK(matches({"inuse!=true"}, layer));
  CHECK_FALSE(matches({"inuse"}, layer));
  layer.in_use = layer.shared = true;
  CHECK(matches({"inuse"}, layer));
  CHECK(matches({"shared=1"}, layer));
  CHECK_FALSE(matches({"private"}, layer));
}

TEST_CASE("ages: durations, days, points of time") {
  constexpr std::int64_t kHour = 3'600'000'000'000;
  CHECK(parse_cache_filters({"until=24h"}).unused_for_ns == 24 * kHour);
  CHECK(parse_age("x", "7d") == 7 * 24 * kHour);
  CHECK(parse_age("x", "1h30m") == kHour + kHour / 2);
  const std::int64_t now = sys::now_ns(), age = parse_age("x", "2020-01-01");
  const std::int64_t point = *parse_rfc3339_ns("2020-01-01T00:00:00Z");
  CHECK(age >= now - point);
  CHECK(age <= sys::now_ns() - point);
  CHECK(parse_age("x", "2200-01-01T00:00:00Z") == 0);
}

TEST_CASE("mistakes are told") {
  for (const char* text :
       {"size=3", "id", "inuse=maybe", "until", "until=soon", "description~=(", "=x", "until!=24h"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_cache_filters({text}), Error);
  }
  for (const char* text : {"", "d", "-1d", "-1h", "x"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_age("--until", text), Error);
  }
}

}  // namespace
}  // namespace cbuild::cli
