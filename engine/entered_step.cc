// SPDX-License-Identifier: Apache-2.0
// Runs a command where a step runs: the step's vertex with another command in it goes to the backend that runs steps,
// so that it gets the same mounts, secrets, limits and isolation. Its changes lie in a directory of their own above
// those of the step.
#include "engine/entered_step.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <future>

#include "base/cancel.h"
#include "base/duplicate.h"
#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/whiteout.h"
#include "cache/unpacker.h"
#include "exporter/local_output.h"

namespace cbuild::engine {
namespace {

constexpr auto kStopGrace = std::chrono::milliseconds(2000);

/// Waits for the end of a command; the first cancel stops it.
class CommandEnd {
 public:
  void set(sandbox::Exit exit) {
    exit_.set_value(std::move(exit));
    ended_.cancel();
  }
  sandbox::Exit wait(sandbox::RunningStep& running, const CancelSource& cancel) {
    bool stopped = false;
    for (;;) {
      pollfd polled[2] = {{ended_.event_fd(), POLLIN, 0}, {stopped ? -1 : cancel.event_fd(), POLLIN, 0}};
      if (::poll(polled, 2, -1) < 0 && errno != EINTR) throw_errno(errno, "poll");
      if (polled[0].revents != 0) return exit_.get_future().get();
      if (polled[1].revents != 0) running.stop(kStopGrace);
      stopped |= polled[1].revents != 0;
    }
  }

 private:
  CancelSource ended_;  ///< readable when exit_ is set
  std::promise<sandbox::Exit> exit_;
};

void find_removed(int directory, const std::string& path, std::vector<std::string>& removed) {
  for (const std::string& name : sys::list_dir(directory)) {
    const auto st = sys::try_stat_at(directory, name);
    if (!st) continue;
    const std::string inside = child_path(path, name);
    if (is_whiteout(*st)) removed.push_back(cat("/", inside));
    if (S_ISDIR(st->st_mode))
      find_removed(sys::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get(), inside, removed);
  }
}

}  // namespace

const solver::ExecOp& EnteredStep::own() const { return std::get<solver::ExecOp>(place_.vertex.op); }

std::vector<std::string> EnteredStep::shell() const {
  const std::vector<std::string>& argv = own().argv;
  const bool by_shell = argv.size() > 2 && argv[argv.size() - 2] == "-c";
  return {by_shell ? argv.front() : "/bin/sh"};
}

solver::Vertex EnteredStep::vertex_for(const EnteredCommand& command) const {
  solver::Vertex vertex = place_.vertex;
  auto& op = std::get<solver::ExecOp>(vertex.op);
  if (!command.argv.empty()) op.argv = command.argv;
  for (const std::string& entry : command.environment) set_variable(op.environment, entry);
  if (command.working_dir) op.working_dir = *command.working_dir;
  if (command.user) op.user = *command.user;
  if (command.network) {
    op.network = *command.network;
    vertex.settings.own_network = false;
  }
  return vertex;
}

sandbox::Exit EnteredStep::run(const EnteredCommand& command) {
  const solver::Vertex vertex = vertex_for(command);
  if (std::get<solver::ExecOp>(vertex.op).argv.empty())
    throw Error(ErrorCode::usage, cat(name(), " has no command")).with_hint("give one");
  solver::ops::ExecVisit visit{place_.changes, {}, command.stdin_fd, command.terminal_fd};
  std::vector<UniqueFd> opened;
  for (const HostMount& mount : command.mounts) {
    opened.push_back(sys::open_at(AT_FDCWD, mount.source, O_PATH));
    visit.mounts.push_back({opened.back().get(), mount.target, mount.read_only});
  }
  CommandEnd end;
  const auto show = [&](LogStream stream, std::string_view data) {
    if (command.output) command.output(stream, data);
  };
  const auto running = executor_.visit({place_.shown_as, &vertex, place_.inputs, {}}, visit,
                                       {.output = show, .done = [&end](solver::ops::ExecEnd ended) {
                                          if (!ended.hint.empty() && !ended.exit.setup_error.empty())
                                            ended.exit.setup_error += cat("; ", ended.hint);
                                          end.set(ended.exit);
                                        }});
  return end.wait(*running, services_.cancel);
}

cache::TreeView EnteredStep::files() {
  const Digest root = place_.inputs.at(0).id;
  std::vector<UniqueFd> layers;
  if (place_.changes != nullptr) layers.push_back(duplicate(place_.changes->tree_fd()));
  if (!root.empty()) {
    cache::materialize(services_.store, root, services_.remote.fetcher(), &services_.cancel,
                       [](const cache::Layer&, std::uint64_t, std::uint64_t) {});
    for (UniqueFd& layer : cache::open_lowers(services_.store, root)) layers.push_back(std::move(layer));
  }
  return {std::move(layers), true, services_.session.user_xattr};
}

std::vector<std::string> EnteredStep::export_changes(const std::string& directory) const {
  CBUILD_CHECK(has_changes());
  std::vector<UniqueFd> layer;
  layer.push_back(duplicate(place_.changes->tree_fd()));
  const exporter::FileTree tree{cache::TreeView(std::move(layer), true, services_.session.user_xattr)};
  exporter::write_local({&tree, 1}, directory, false, &services_.cancel);
  std::vector<std::string> removed;
  find_removed(place_.changes->tree_fd(), "", removed);
  std::sort(removed.begin(), removed.end());
  return removed;
}

}  // namespace cbuild::engine
