// SPDX-License-Identifier: Apache-2.0
// The log of a step at its limits: size, rate, and a disk that is full.
#include "solver/ops/step_log.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

/// A log whose file and screen can be looked at.
struct Printed {
  TempDir dir = TempDir::in_tmp("cbuild-log-test-");
  std::string shown[3];
  unsigned opened = 0;
  std::optional<StepLog> log;

  explicit Printed(const LogLimits& limits) {
    log.emplace(
        limits, 0,
        [this] {
          ++opened;
          return sys::open_at(dir.fd(), "log", O_WRONLY | O_CREAT | O_APPEND, 0600);
        },
        [this](LogStream stream, std::string_view data) { shown[static_cast<int>(stream)] += data; });
  }
  std::string kept() const { return sys::read_file_at(dir.fd(), "log", 1u << 20); }
  const std::string& out() const { return shown[static_cast<int>(LogStream::out)]; }
  const std::string& err() const { return shown[static_cast<int>(LogStream::err)]; }
};

LogLimits small_limits() {
  LogLimits limits;
  limits.shown_bytes = 10;
  limits.shown_bytes_per_second = LogLimits::kNone;
  limits.kept_head = 6;
  limits.kept_tail = 4;
  return limits;
}

std::string taken_from(TailBuffer& buffer, const std::vector<std::string>& pieces) {
  for (const std::string& piece : pieces) buffer.append(piece);
  return buffer.take();
}

}  // namespace

TEST_CASE("a tail buffer holds the last bytes, however they came") {
  TailBuffer buffer(5);
  CHECK(taken_from(buffer, {}) == "");
  CHECK(taken_from(buffer, {"abc"}) == "abc");
  CHECK(taken_from(buffer, {"abc", "de"}) == "abcde");
  CHECK(taken_from(buffer, {"abc", "def"}) == "bcdef");
  CHECK(taken_from(buffer, {"abcd", "efgh", "i"}) == "efghi");
  CHECK(taken_from(buffer, {"ab", "0123456789", "x"}) == "6789x");
  buffer.append("0123456789");
  CHECK(buffer.total() == 10);
  CHECK(buffer.take() == "56789");
  CHECK(buffer.total() == 0);
}

TEST_CASE("settings are read as BuildKit reads its own") {
  CHECK(log_limits_of(nullptr, nullptr).shown_bytes == 2'097'152);
  CHECK(log_limits_of(nullptr, nullptr).shown_bytes_per_second == 204'800);
  CHECK(log_limits_of("5", "-1").shown_bytes == 5);
  CHECK(log_limits_of("5", "-1").shown_bytes_per_second == LogLimits::kNone);
  for (const char* wrong : {"", "5k", "99999999999", " 5"})
    CHECK(log_limits_of(wrong, nullptr).shown_bytes == 2'097'152);
}

TEST_CASE("output within the limits is shown and kept as it came") {
  Printed printed(small_limits());
  CHECK_FALSE(printed.log->is_kept());
  printed.log->write(LogStream::out, "one\n", 0);
  printed.log->write(LogStream::err, "two\n", 0);
  printed.log->close();
  CHECK(printed.log->is_kept());
  CHECK(printed.out() == "one\n");
  CHECK(printed.err() == "two\n");
  CHECK(printed.kept() == "one\ntwo\n");
  CHECK(printed.opened == 1);
}

TEST_CASE("a stream over its size is clipped, said once, and its end is shown when it is over") {
  Printed printed(small_limits());
  printed.log->write(LogStream::out, "0123456789abc", 0);
  CHECK(printed.out() == "0123456789\n[output clipped, log limit 10B reached]\n");
  printed.log->write(LogStream::out, "def", kSecond);
  printed.log->write(LogStream::err, "0123456789x", kSecond);
  CHECK(printed.err() == "0123456789");  // said already
  printed.log->close();
  CHECK(printed.out() == "0123456789\n[output clipped, log limit 10B reached]\nabcdef");
  CHECK(printed.err() == "0123456789x");
}

TEST_CASE("a stream over its rate is shown again when its average is below it") {
  LogLimits limits = small_limits();
  limits.shown_bytes = 2 << 20;
  limits.shown_bytes_per_second = 1536;
  const std::string kilobyte(1024, 'x');
  Printed printed(limits);
  for (int i = 0; i < 3; ++i) printed.log->write(LogStream::out, kilobyte, i);
  const std::string notice = "\n[output clipped, log limit 1.5KiB/s reached]\n";
  CHECK(printed.out() == std::string(1536, 'x') + notice);
  printed.log->write(LogStream::out, "on time", 3 * kSecond);
  CHECK(printed.out().ends_with("]\non time"));
  printed.log->write(LogStream::out, std::string(5000, 'y'), 3 * kSecond);
  CHECK(printed.out().find("clipped", printed.out().find("clipped") + 1) == std::string::npos);
  printed.log->close();
  CHECK(printed.out().ends_with('y'));
}

TEST_CASE("without limits everything is shown") {
  LogLimits limits = small_limits();
  limits.shown_bytes = LogLimits::kNone;
  Printed printed(limits);
  printed.log->write(LogStream::out, std::string(100'000, 'x'), 0);
  CHECK(printed.out().size() == 100'000);
}

TEST_CASE("the kept log has its head and its tail, and a line about the gap between them") {
  Printed printed(small_limits());
  printed.log->write(LogStream::out, "head", 0);
  SUBCASE("nothing is missing yet") {
    printed.log->write(LogStream::out, "+tail", 0);
    printed.log->write(LogStream::err, "!", 0);
    printed.log->close();
    CHECK(printed.kept() == "head+tail!");
  }
  SUBCASE("something is") {
    printed.log->write(LogStream::out, "er", 0);
    for (int i = 0; i < 100; ++i) printed.log->write(LogStream::err, "0123456789", 0);
    printed.log->write(LogStream::out, "end\n", 0);
    printed.log->close();
    CHECK(printed.kept() == "header\n[cbuild: 1000 bytes were left out here]\nend\n");
  }
}

TEST_CASE("a log that cannot be written does not end the step") {
  std::string shown;
  StepLog log(
      small_limits(), 0, []() -> UniqueFd { throw Error(ErrorCode::no_space, "full"); },
      [&](LogStream, std::string_view data) { shown += data; });
  log.write(LogStream::out, "text", 0);
  log.close();
  CHECK(shown == "text");
  CHECK_FALSE(log.is_kept());
}

}  // namespace cbuild::solver::ops
