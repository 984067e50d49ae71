// SPDX-License-Identifier: Apache-2.0
// Time limits of transfers without any time passing: the cases tell Pace how long they waited.
#include "base/http/pace.h"

#include <doctest/doctest.h>

#include "base/error.h"

using namespace cbuild;
using namespace cbuild::http;
using namespace std::chrono_literals;
using FailureKind = TransportFailure::Kind;

namespace {

const TransferLimits kLimits{.connect = 20s, .answer = 45s, .window = 30s, .rate = 1024};

std::string usage_error(const char* text) {
  TransferLimits limits;
  try {
    set_transfer_limits(text, "--transfer-limits", limits);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::usage);
    return e.message();
  }
  return "";
}

}  // namespace

TEST_CASE("each phase of an exchange has a limit of its own") {
  Pace pace(kLimits, 0);
  pace.waited(19s);
  CHECK(pace.left() == 1s);
  CHECK_FALSE(pace.over());
  pace.waited(1s);
  REQUIRE(pace.over());
  CHECK(pace.over()->kind == FailureKind::connect);
  CHECK(pace.over()->text == "no connection within 20 s");
  pace.connected();
  CHECK_FALSE(pace.over());
  CHECK(pace.left() == 45s);
  pace.waited(45s);
  CHECK(pace.over()->kind == FailureKind::stalled);
  CHECK(pace.over()->text == "no answer within 45 s");
}

TEST_CASE("a drip is too slow, however long it goes on") {
  Pace pace(kLimits, 0);
  pace.connected();
  pace.received(200);
  for (int second = 0; second < 29; ++second) {
    pace.waited(1s);
    pace.received(1);
  }
  CHECK_FALSE(pace.over());
  pace.waited(1s);
  REQUIRE(pace.over());
  CHECK(pace.over()->kind == FailureKind::slow);
  CHECK(pace.over()->text == "only 229 bytes in 30 s, the least is 1024 bytes/s");
}

TEST_CASE("a body that is just fast enough goes on; each window counts afresh") {
  Pace pace(kLimits, 0);
  pace.connected();
  for (int window = 0; window < 5; ++window) {
    pace.received(30 * 1024);
    pace.waited(30s);
    CHECK_FALSE(pace.over());
  }
  pace.waited(30s);
  CHECK(pace.over()->kind == FailureKind::stalled);
  CHECK(pace.over()->text == "no data for 30 s");
}

TEST_CASE("without a rate only silence ends a body") {
  TransferLimits limits = kLimits;
  limits.rate = 0;
  Pace pace(limits, 0);
  pace.connected();
  pace.received(1);
  pace.waited(30s);
  CHECK_FALSE(pace.over());
  pace.waited(30s);
  CHECK(pace.over()->kind == FailureKind::stalled);
}

TEST_CASE("an upload: bytes in the kernel have time to leave, then the answer has its own") {
  Pace pace(kLimits, 10u << 20);
  pace.connected();
  pace.sent(128u << 10);
  pace.waited(127s);
  CHECK_FALSE(pace.over());
  pace.waited(1s);
  CHECK_FALSE(pace.over());  // 1 KiB/s is the least
  pace.waited(128s);
  CHECK(pace.over()->kind == FailureKind::stalled);
  CHECK(pace.over()->text == "no data taken for 128 s");
  pace.sent(10u << 20);
  CHECK_FALSE(pace.over());
  CHECK(pace.left() == 45s);
  pace.waited(45s);
  CHECK(pace.over()->text == "no answer within 45 s");
}

TEST_CASE("an upload that is begun again, and an answer in its middle") {
  Pace pace(kLimits, 1u << 20);
  pace.connected();
  pace.sent(1u << 20);
  pace.sent(1000);  // rewound after a 401 on a kept connection
  CHECK(pace.left() == 128s);
  pace.received(100);
  CHECK(pace.left() == 30s);
  pace.sent(2000);
  CHECK(pace.left() == 30s);
}

TEST_CASE("limits as text") {
  TransferLimits limits;
  set_transfer_limits("connect=5s,answer=1m, window=10s ,rate=2k", "x", limits);
  CHECK(limits == TransferLimits{.connect = 5s, .answer = 60s, .window = 10s, .rate = 2048});
  set_transfer_limits("rate=0", "x", limits);
  CHECK(limits.rate == 0);
  CHECK(limits.connect == 5s);
  CHECK(usage_error("answer") == "--transfer-limits: 'answer' is not KEY=VALUE");
  CHECK(usage_error("answer=soon") == "--transfer-limits: answer 'soon' is not a time from 100ms to 24h");
  CHECK(usage_error("answer=0") == "--transfer-limits: answer '0' is not a time from 100ms to 24h");
  CHECK(usage_error("rate=fast") == "--transfer-limits: rate 'fast' is not a number of bytes per second");
  CHECK(usage_error("speed=1") == "--transfer-limits: unknown key 'speed'");
  CHECK(usage_error("") == "--transfer-limits: '' is not KEY=VALUE");
}
