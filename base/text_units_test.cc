// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <limits>

#include "base/text.h"

namespace cbuild {

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST_CASE("parse_size reads units as powers of 1024") {
  CHECK(parse_size("10") == 10);
  CHECK(parse_size("10b") == 10);
  CHECK(parse_size("64k") == 65536);
  CHECK(parse_size("64KB") == 65536);
  CHECK(parse_size("2gib") == std::uint64_t{2} << 30);
  CHECK(parse_size("1.5GB") == std::uint64_t{3} << 29);
  CHECK(parse_size("32 MB") == 32u << 20);
  CHECK(parse_size("1t") == std::uint64_t{1} << 40);
  CHECK(parse_size("1PiB") == std::uint64_t{1} << 50);
  CHECK(parse_size(".5k") == 512);
  CHECK(parse_size("1.k") == 1024);
  CHECK(parse_size("0.0001") == 0);
  CHECK(parse_size("9007199254740993") == 9007199254740993u);
}

TEST_CASE("parse_size refuses everything else") {
  for (const char* bad : {"",
                          ".",
                          "k",
                          "-1",
                          "+1",
                          "1x",
                          "1kk",
                          "1bb",
                          "1ki",
                          "1  k",
                          " 1",
                          "1 k ",
                          "1,5k",
                          "1e3",
                          "0x10",
                          "1bib",
                          "9223372036854775808",
                          "8192p",
                          "99999999999999999999999p",
                          "1.2.3"})
    CHECK_MESSAGE(parse_size(bad) == std::nullopt, std::string(bad));
}

TEST_CASE("parse_duration_ns reads Go durations") {
  CHECK(parse_duration_ns("0") == 0);
  CHECK(parse_duration_ns("-0") == 0);
  CHECK(parse_duration_ns("1h30m") == 5'400'000'000'000);
  CHECK(parse_duration_ns("500ms") == 500'000'000);
  CHECK(parse_duration_ns("-1.5s") == -1'500'000'000);
  CHECK(parse_duration_ns("+5s") == 5'000'000'000);
  CHECK(parse_duration_ns(".5m") == 30'000'000'000);
  CHECK(parse_duration_ns("1.us") == 1'000);
  CHECK(parse_duration_ns("12\u00b5s") == 12'000);
  CHECK(parse_duration_ns("12\u03bcs") == 12'000);
  CHECK(parse_duration_ns("1h1m1s1ms1us1ns") == 3'661'001'001'001);
  CHECK(parse_duration_ns("0.3333333333333333333h") == 1'200'000'000'000);
  CHECK(parse_duration_ns("9223372036854775807ns") == kMax);
  CHECK(parse_duration_ns("-9223372036854775808ns") == kMin);
}

TEST_CASE("parse_duration_ns refuses everything else") {
  for (const char* bad : {"", "-", "3", "s", ".s", "1", "1x", "1 s", " 1s", "1s ", "1.1.1s", "1S", "--1s", "00",
                          "9223372036854775808ns", "-9223372036854775809ns", "99999999999999999999h", "2562048h"})
    CHECK_MESSAGE(parse_duration_ns(bad) == std::nullopt, std::string(bad));
}

TEST_CASE("format_size uses powers of 1000") {
  CHECK(format_size(0) == "0 B");
  CHECK(format_size(999) == "999 B");
  CHECK(format_size(1000) == "1.0 kB");
  CHECK(format_size(1'234'567) == "1.2 MB");
  CHECK(format_size(999'949) == "999.9 kB");
  CHECK(format_size(999'950) == "1.0 MB");
  CHECK(format_size(700'000'000'000) == "700.0 GB");
  CHECK(format_size(std::numeric_limits<std::uint64_t>::max()) == "18.4 EB");
}

TEST_CASE("format_seconds grows with the time") {
  CHECK(format_seconds(0) == "0.0s");
  CHECK(format_seconds(449'999'999) == "0.4s");
  CHECK(format_seconds(450'000'000) == "0.5s");
  CHECK(format_seconds(12'345'000'000) == "12.3s");
  CHECK(format_seconds(59'949'000'000) == "59.9s");
  CHECK(format_seconds(59'950'000'000) == "1m00s");
  CHECK(format_seconds(62'000'000'000) == "1m02s");
  CHECK(format_seconds(3'599'600'000'000) == "1h00m00s");
  CHECK(format_seconds(3'723'000'000'000) == "1h02m03s");
  CHECK(format_seconds(-1'500'000'000) == "-1.5s");
  CHECK(format_seconds(kMin) == "-2562047h47m17s");
}

TEST_CASE("format_go_duration is Go's String and parses back") {
  const std::pair<std::int64_t, const char*> cases[] = {{0, "0s"},
                                                        {1, "1ns"},
                                                        {999, "999ns"},
                                                        {1100, "1.1\u00b5s"},
                                                        {2'200'000, "2.2ms"},
                                                        {3'300'000'000, "3.3s"},
                                                        {300'000'000'000, "5m0s"},
                                                        {300'001'000'000, "5m0.001s"},
                                                        {3'600'000'000'000, "1h0m0s"},
                                                        {-90'000'000'000, "-1m30s"},
                                                        {kMax, "2562047h47m16.854775807s"},
                                                        {kMin, "-2562047h47m16.854775808s"}};
  for (const auto& [ns, text] : cases) {
    CHECK(format_go_duration(ns) == text);
    CHECK(parse_duration_ns(text) == ns);
  }
}

TEST_CASE("RFC 3339 times") {
  CHECK(format_rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(format_rfc3339(-1) == "1969-12-31T23:59:59Z");
  CHECK(format_rfc3339(951'782'400) == "2000-02-29T00:00:00Z");
  CHECK(format_rfc3339(4'107'542'399) == "2100-02-28T23:59:59Z");
  CHECK(format_rfc3339(-62'135'596'800) == "0001-01-01T00:00:00Z");
  CHECK(format_rfc3339(-62'167'219'201) == "0000-01-01T00:00:00Z");
  CHECK(format_rfc3339(253'402'300'799) == "9999-12-31T23:59:59Z");
  CHECK(format_rfc3339(253'402'300'800) == "9999-12-31T23:59:59Z");
  CHECK(format_rfc3339(kMax) == "9999-12-31T23:59:59Z");
  CHECK(format_rfc3339(kMin) == "0000-01-01T00:00:00Z");
  CHECK(format_rfc3339_ns(1'767'322'984'000'000'000) == "2026-01-02T03:03:04Z");
  CHECK(format_rfc3339_ns(1'767'322'984'120'000'000) == "2026-01-02T03:03:04.12Z");
  CHECK(format_rfc3339_ns(-1) == "1969-12-31T23:59:59.999999999Z");
}

TEST_CASE("RFC 3339 times parse back, offsets applied") {
  for (const std::int64_t ns :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1}, std::int64_t{1'767'322'984'120'000'000},
        std::int64_t{951'782'400'000'000'000}, kMin, kMax})
    CHECK(parse_rfc3339_ns(format_rfc3339_ns(ns)) == ns);
  CHECK(parse_rfc3339_ns("2026-01-02T03:04:05+02:00") == parse_rfc3339_ns("2026-01-02T01:04:05Z"));
  CHECK(parse_rfc3339_ns("2026-01-01T22:34:05-05:30") == parse_rfc3339_ns("2026-01-02T04:04:05Z"));
  CHECK(parse_rfc3339_ns("1970-01-01T00:00:00.1234567899Z") == 123'456'789);
}

TEST_CASE("text that is not an RFC 3339 time is refused") {
  for (const char* bad :
       {"", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-13-02T03:04:05Z", "2026-02-29T00:00:00Z",
        "2026-00-02T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05z", "2026-01-02T03:04:05Zx", "2026-01-02T03:04:05+2:00",
        "2026-01-02T03:04:05+24:00", "2026-1-02T03:04:05Z", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z",
        "+026-01-02T03:04:05Z"})
    CHECK_MESSAGE(parse_rfc3339_ns(bad) == std::nullopt, std::string(bad));
}

}  // namespace cbuild
