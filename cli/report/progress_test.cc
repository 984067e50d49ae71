// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "base/sys.h"
#include "cli/report/progress_plain.h"
#include "cli/report/progress_tty.h"

namespace cbuild::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TaskView finished(const std::string& name, TaskState state, std::int64_t seconds) {
  TaskView view;
  view.phase = TaskView::Phase::done;
  view.name = name;
  view.state = state;
  view.finished_ns = seconds * kSecond;
  return view;
}

}  // namespace

TEST_CASE("the picture shows state, time and the tail of running steps") {
  Picture picture;
  picture.elapsed_ns = picture.now_ns = 12 * kSecond;
  picture.tasks.push_back(finished("[1/3] FROM x", TaskState::cached, 0));
  TaskView running;
  running.phase = TaskView::Phase::running;
  running.name = "[2/3] RUN make";
  running.note = "src/a.c changed";
  running.tail = {"cc a.c", "cc b.c"};
  picture.tasks.push_back(running);
  picture.tasks.push_back({});
  const std::vector<std::string> lines = draw(picture, 40, 0, false);
  const std::vector<std::string> expected = {"[+] Building 12.0s (1/3)",
                                             " => CACHED [1/3] FROM x             0.0s",
                                             " => [2/3] RUN make                 12.0s",
                                             " => => why: src/a.c changed",
                                             " => => # cc a.c",
                                             " => => # cc b.c"};
  CHECK(lines == expected);
}

TEST_CASE("a step that ran keeps its reason, in its line or below it") {
  Picture picture;
  picture.final = true;
  TaskView ran = finished("RUN make", TaskState::ok, 1);
  ran.note = "src/a.c: new";
  picture.tasks = {ran, finished("RUN x", TaskState::cached, 0)};
  picture.tasks[1].note = "not told";
  const auto lines = draw(picture, 40, 0, false);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1] == " => RUN make  (src/a.c: new)        1.0s");
  CHECK(lines[2] == " => CACHED RUN x                    0.0s");
  const std::vector<std::string> narrow = {"[+] Building 0.0s (2/2)…", " => RUN make        1.0s",
                                           " => => why: src/a.c: new", " => CACHED RUN x    0.0s"};
  CHECK(draw(picture, 24, 0, false) == narrow);
  picture.final = false;  // the lines are needed for running steps
  CHECK(draw(picture, 24, 0, false).size() == 3);
}

TEST_CASE("the picture never exceeds the window") {
  Picture picture;
  for (int i = 0; i < 50; ++i) picture.tasks.push_back(finished("step with a rather long name", TaskState::ok, 1));
  for (int i = 0; i < 3; ++i) {
    TaskView view;
    view.phase = TaskView::Phase::running;
    view.name = "running";
    for (int line = 0; line < 20; ++line) view.tail.emplace_back("output");
    picture.tasks.push_back(view);
  }
  for (const std::size_t height : {4u, 10u, 24u}) {
    const auto lines = draw(picture, 20, height, false);
    CHECK(lines.size() <= height);
    for (const std::string& line : lines) CHECK(line.size() <= 22);  // an ellipsis is three bytes in one column
  }
}

TEST_CASE("the environment gives the picture its colours and the length of its tails") {
  const auto set = [](const char* colors, const char* none, const char* lines) {
    setenv("BUILDKIT_COLORS", colors, 1);
    setenv("NO_COLOR", none, 1);
    setenv("BUILDKIT_TTY_LOG_LINES", lines, 1);
  };
  const ScopeExit restore([] {
    for (const char* name : {"BUILDKIT_COLORS", "NO_COLOR", "BUILDKIT_TTY_LOG_LINES"}) unsetenv(name);
  });
  Picture picture;
  picture.tasks = {finished("a", TaskState::ok, 1), finished("b", TaskState::failed, 1),
                   finished("c", TaskState::cancelled, 1)};
  TaskView running;
  running.phase = TaskView::Phase::running;
  running.name = "d";
  running.tail = {"1", "2", "3", "4", "5", "6", "7", "8"};
  picture.tasks.push_back(running);
  picture.notes = {"note"};
  set("", "", "");
  std::vector<std::string> lines = draw(picture, 20, 0, true);
  REQUIRE(lines.size() == 12);
  CHECK(lines[1].starts_with("\x1b[33mnote\x1b[0m"));
  CHECK(lines[2].starts_with("\x1b[34m => a"));
  CHECK(lines[3].starts_with("\x1b[31m => ERROR b"));
  CHECK(lines[6] == "\x1b[2m => => # 3\x1b[0m");
  set("run=light-green:ERROR=255,0,0:cancel=Cyan:warning=nocolor:none:=", "", "2");
  lines = draw(picture, 20, 0, true);
  REQUIRE(lines.size() == 8);
  CHECK(lines[1].starts_with("\x1b[33mnote"));
  CHECK(lines[2].starts_with("\x1b[92m => a"));
  CHECK(lines[3].starts_with("\x1b[38;5;196m => ERROR b"));
  CHECK(lines[4].starts_with("\x1b[36m => CANCELED c"));
  CHECK(lines[6] == "\x1b[2m => => # 7\x1b[0m");
  set("run=green", "1", "-1");
  lines = draw(picture, 20, 0, true);
  REQUIRE(lines.size() == 12);
  CHECK(lines == draw(picture, 20, 0, false));
}

TEST_CASE("plain progress writes numbered lines and completes cut ones") {
  const TempDir dir = TempDir::in_tmp("progress-");
  const UniqueFd file = sys::open_at(dir.fd(), "log", O_RDWR | O_CREAT, 0600);
  {
    PlainProgress plain(file.get());
    plain.on_event(TaskAdded{7, "[1/2] RUN a", {}});
    plain.on_event(TaskAdded{9, "[2/2] RUN b", {}});
    plain.on_event(TaskStarted{7, 0, "no cached result"});
    plain.on_event(TaskLog{7, 500'000'000, LogStream::out, "one\ntw"});
    plain.on_event(TaskLog{7, 600'000'000, LogStream::out, "o\n\x1b[31mred"});
    plain.on_event(TaskUse{7, {1'500'000'000, 500'000'000, 5'000'000, 0, 3000, false}});
    plain.on_event(TaskFinished{7, kSecond, TaskState::ok, {}});
    plain.on_event(TaskStarted{9, kSecond, {}});
    plain.on_event(TaskFinished{9, kSecond, TaskState::cached, {}});
  }
  lseek(file.get(), 0, SEEK_SET);
  const std::string text = sys::read_all(file.get(), 1 << 20);
  CHECK(text.find("#1 [1/2] RUN a\n#1 runs because: no cached result\n#1 0.500 one\n#1 0.600 two\n") == 0);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("#1 DONE 1.0s (cpu 2.0s, memory 5.0 MB, written 3.0 kB)\n\n#2 [2/2] RUN b\n#2 CACHED\n") !=
        std::string::npos);
}

}  // namespace cbuild::cli
