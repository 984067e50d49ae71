// SPDX-License-Identifier: Apache-2.0
#include "cli/report/step_log_text.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

std::string numbered_lines(unsigned count) {
  std::string text;
  for (unsigned i = 1; i <= count; ++i) text += cat("line ", i, "\n");
  return text;
}

struct Log {
  TempDir dir = TempDir::in_tmp("cbuild-log-text-test-");
  explicit Log(const std::string& text) { sys::write_file_at(dir.fd(), "1.log", text); }
  std::string tail() const { return log_tail(dir.path() + "/1.log"); }
};

}  // namespace

TEST_CASE("a short log is shown whole below its error") {
  CHECK(Log("").tail() == "\n");
  CHECK(Log("one\ntwo").tail() == "one\ntwo\n");
  CHECK(Log("\x1b[2J\n").tail() == "^[[2J\n");
  CHECK(log_tail("/does/not/exist") == "\n");
  CHECK(Log(numbered_lines(500)).tail() == numbered_lines(500));
}

TEST_CASE("of a long log the last lines are shown, and how much is above them") {
  const std::string text = numbered_lines(501);
  CHECK(Log(text).tail() == "[7 B above are in the full log]\n" + text.substr(7));
}

TEST_CASE("of long lines the last ones are shown, from the beginning of one") {
  std::string text;
  for (char c = 'a'; c <= 'z'; ++c) text += std::string(9'999, c) + "\n";
  const std::string tail = Log(text).tail();
  CHECK(tail.starts_with("[200.0 kB above are in the full log]\nuuuu"));
  CHECK(tail.ends_with("zzzz\n"));
  const std::string endless = Log(std::string(100'000, 'x')).tail();
  CHECK(endless.size() < 70'000);
  CHECK(endless.ends_with("xxx\n"));
}

TEST_CASE("a log of any size is read as a text of bounded size") {
  Log log("the first line\n");
  CHECK(kept_log(log.dir.fd(), "1.log") == "the first line\n");
  CHECK(kept_log(log.dir.fd(), "2.log") == "");
  const UniqueFd file = sys::open_at(log.dir.fd(), "1.log", O_WRONLY);
  sys::pwrite_all(file.get(), "the last line\n", std::int64_t{5} << 30);
  const std::string text = kept_log(log.dir.fd(), "1.log");
  CHECK(text.starts_with("the first line\n"));
  CHECK(text.ends_with("the last line\n"));
  CHECK(text.find("\n[cbuild: 5335154702 bytes were left out here]\n") != std::string::npos);
  CHECK(text.size() < 34u << 20);
}

}  // namespace cbuild::cli
