// SPDX-License-Identifier: Apache-2.0
// One thread reads requests for as long as the editor is there. Those about the session are answered at once; those
// about a place where the build stands still wait in a queue for the thread that stands there, and are refused while it
// runs. An editor that leaves cancels the build.
#include "cli/dap/dap_session.h"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/process/threads.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

/// Of one name for a file, whatever links lead to it.
std::string canonical_name(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, ignored);
  return ignored ? path : real.string();
}

const DapJson& member(const DapJson& json, const char* name) {
  static const DapJson nothing = DapJson::object();
  const auto found = json.find(name);
  return found == json.end() || !found->is_object() ? nothing : *found;
}

}  // namespace

struct DapSession::Impl {
  Impl(DapChannel& to, CancelSource& stop) : channel(to), cancel(stop) {
    reader = start_thread([this] { read_all(); });
  }
  ~Impl() {
    channel.stop_receiving();
    reader.join();
  }

  void read_all();
  void take(const DapJson& request);
  void set_breakpoints(const DapJson& request);

  DapChannel& channel;
  CancelSource& cancel;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  DapJson launch;
  bool configured = false, stopped = false, left = false;
  std::deque<DapJson> waiting;
  std::map<std::string, std::set<std::uint32_t>> breakpoints;
  std::jthread reader;
};

DapSession::DapSession(DapChannel& channel, CancelSource& cancel) : impl_(std::make_unique<Impl>(channel, cancel)) {}

DapSession::~DapSession() = default;

void DapSession::Impl::read_all() {
  while (auto request = channel.receive()) {
    try {
      if (request->value("type", "") == "request") take(*request);
    } catch (const std::exception& wrong) {  // a member of another type
      channel.refuse(*request, wrong.what());
    }
  }
  const std::lock_guard lock(mutex);
  left = true;
  cancel.cancel();
  changed.notify_all();
}

void DapSession::Impl::take(const DapJson& request) {
  const std::string command = request.value("command", "");
  const std::lock_guard lock(mutex);
  if (command == "initialize") {
    channel.respond(request, {{"supportsConfigurationDoneRequest", true}, {"supportsTerminateRequest", true}});
  } else if (command == "launch") {
    launch = member(request, "arguments");
    channel.respond(request);
    channel.send_event("initialized", DapJson::object());
  } else if (command == "configurationDone") {
    configured = true;
    channel.respond(request);
  } else if (command == "setBreakpoints") {
    set_breakpoints(request);
  } else if (command == "setExceptionBreakpoints") {
    channel.respond(request, DapJson::object());
  } else if (command == "threads") {
    channel.respond(request, {{"threads", DapJson::array({{{"id", 1}, {"name", "build"}}})}});
  } else if (command == "disconnect" || command == "terminate") {
    left = true;
    cancel.cancel();
    channel.respond(request);
  } else if (stopped) {
    waiting.push_back(request);
  } else {
    channel.refuse(request, cat(command, ": the build does not stand still"));
  }
  changed.notify_all();
}

/// All are taken as they are: which lines have a step is known when the Dockerfile is read.
void DapSession::Impl::set_breakpoints(const DapJson& request) {
  const DapJson& arguments = member(request, "arguments");
  const std::string path = member(arguments, "source").value("path", "");
  std::set<std::uint32_t>& lines = breakpoints[canonical_name(path)];
  lines.clear();
  DapJson out = DapJson::array();
  for (const DapJson& breakpoint : arguments.value("breakpoints", DapJson::array())) {
    const auto line = breakpoint.is_object() ? breakpoint.value("line", 0u) : 0u;
    lines.insert(line);
    out.push_back({{"id", line}, {"verified", true}, {"line", line}, {"source", {{"path", path}}}});
  }
  channel.respond(request, {{"breakpoints", std::move(out)}});
}

std::set<std::uint32_t> DapSession::breakpoints(const std::string& path) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->breakpoints.find(canonical_name(path));
  return found == impl_->breakpoints.end() ? std::set<std::uint32_t>() : found->second;
}

DapJson DapSession::wait_for_launch() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return impl_->left || (impl_->configured && impl_->launch.is_object()); });
  return impl_->left ? DapJson() : impl_->launch;
}

DapJson DapSession::next_request() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return impl_->left || !impl_->waiting.empty(); });
  if (impl_->left) return {};
  DapJson request = std::move(impl_->waiting.front());
  impl_->waiting.pop_front();
  return request;
}

void DapSession::set_stopped(bool stopped) {
  const std::lock_guard lock(impl_->mutex);
  impl_->stopped = stopped;
  if (stopped) return;
  for (const DapJson& request : impl_->waiting) impl_->channel.refuse(request, "the build has gone on");
  impl_->waiting.clear();
}

}  // namespace cbuild::cli
