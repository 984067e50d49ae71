// SPDX-License-Identifier: Apache-2.0
#include "sandbox/step_table.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace cbuild::sandbox {
namespace {

wire::Ended end_with(int wait_status, const std::string& failure = {}) {
  wire::Ended end;
  end.wait_status = wait_status;
  end.failure = failure;
  return end;
}

TEST_CASE("orders are taken once, and the shortest grace counts") {
  StepTable table;
  const auto step = std::make_shared<ReactorStep>();
  const std::uint64_t id = step->id = table.next_id();
  table.add(step);
  CHECK(table.order_stop(id, 500));
  CHECK(table.order_stop(id, 100));
  CHECK(table.order_stop(id, 900));
  table.note_failure(id, "gone");
  const StepTable::Orders orders = table.take_orders(id);
  CHECK(orders.stop_grace_ns == 100);
  CHECK(orders.failure == "gone");
  CHECK_FALSE(table.take_orders(id).stop_grace_ns);
  table.order_stop_of_all();
  CHECK(table.take_orders(id).stop_grace_ns == 0);
}

TEST_CASE("a step that was removed takes no order") {
  StepTable table;
  const auto step = std::make_shared<ReactorStep>();
  const std::uint64_t id = step->id = table.next_id();
  table.add(step);
  CHECK(table.find(id) == step);
  CHECK(table.all().size() == 1);
  CHECK(table.remove(id));
  CHECK_FALSE(table.remove(id));
  CHECK_FALSE(table.order_stop(id, 0));
  CHECK(table.find(id) == nullptr);
  CHECK(table.empty());
}

TEST_CASE("a step is done at its end and that of both pipes") {
  ReactorStep step;
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
  step.output[1] = UniqueFd(fds[0]);
  UniqueFd writer(fds[1]);
  std::string text;
  step.callbacks.output = [&](LogStream, std::string_view data) { text += data; };
  REQUIRE(::write(writer.get(), "abc", 3) == 3);
  step.take_end(end_with(3 << 8));
  CHECK(step.exit.code == 3);
  CHECK_FALSE(step.is_done());
  step.read_output(1);
  CHECK(text == "abc");
  CHECK_FALSE(step.is_done());
  writer.reset();
  step.read_output(1);
  CHECK(step.is_done());
}

TEST_CASE("exit codes are those of a shell, and a set-up that failed is told from a command") {
  ReactorStep killed, failed, absent;
  killed.take_end(end_with(SIGKILL));
  CHECK(killed.exit.code == 128 + SIGKILL);
  failed.take_end(end_with(0, "mount: no"));
  CHECK(failed.exit.code == 125);
  CHECK(failed.exit.setup_error == "mount: no");
  wire::Ended end = end_with(1 << 8, "exec: x");
  end.exec_failure = setup::ExecFailure::not_in_path;
  absent.take_end(end);
  CHECK(absent.exit.code == 127);
  CHECK(absent.exit.setup_error.empty());
  CHECK(absent.last_words == "exec: x\n");
  CHECK(absent.next_deadline() != kNever);  // its output may stay open only so long
}

}  // namespace
}  // namespace cbuild::sandbox
