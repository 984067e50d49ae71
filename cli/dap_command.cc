// SPDX-License-Identifier: Apache-2.0
// A build that stands still is a place that is entered (engine/enter_build.h): for each stop the build goes as far as
// that step, whose earlier ones are cached by then. At the end the build runs whole, with its outputs.
#include "cli/dap_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/process/interrupts.h"
#include "base/text.h"
#include "cli/dap/dap_session.h"
#include "cli/dap/dap_variables.h"
#include "cli/flags/flags.h"
#include "cli/flags/options.h"
#include "cli/report/exit_codes.h"
#include "cli/report/failure_text.h"
#include "engine/builder.h"
#include "engine/enter_build.h"

namespace cbuild::cli {
namespace {

constexpr int kThread = 1;

/// Sends the output of steps and notes to the editor.
class DapProgress final : public ProgressSink {
 public:
  explicit DapProgress(DapChannel& channel) : channel_(channel) {}
  void on_event(const ProgressEvent& event) override {
    if (const auto* log = std::get_if<TaskLog>(&event)) say("stdout", std::string(log->data));
    if (const auto* note = std::get_if<RunNote>(&event)) say("console", cat(note->text, "\n"));
    if (const auto* finding = std::get_if<RunDiagnostic>(&event)) say("console", render(finding->diagnostic));
  }
  void say(const std::string& category, const std::string& text) {
    channel_.send_event("output", {{"category", category}, {"output", text}});
  }

 private:
  DapChannel& channel_;
};

struct Lines {
  std::uint32_t first = 0, last = 0, column = 1;
};

Lines lines_of(const solver::Vertex& vertex) {
  if (vertex.spans.empty() || !vertex.spans[0]) return {};
  const Span& span = vertex.spans[0];
  const auto begin = span.source->position(span.begin), end = span.source->position(span.end);
  return {begin.line, std::max(begin.line, end.column == 1 && end.line > begin.line ? end.line - 1 : end.line),
          begin.column};
}

/// One build under control.
class DapBuild {
 public:
  DapBuild(DapChannel& channel, DapSession& session, BuildLine line, bool stop_on_entry)
      : channel_(channel), session_(session), line_(std::move(line)), step_by_step_(stop_on_entry) {}

  engine::BuildResult run(const engine::Session& session, const CancelSource& cancel);

 private:
  std::optional<solver::VertexId> choose(const std::vector<engine::StepEntry>& steps, const solver::Graph& graph);
  void stop(const std::string& reason, const std::string& text, engine::EnteredStep& step);
  bool serve(const DapJson& request, engine::EnteredStep& step);
  DapJson frames() const;
  DapJson scopes(std::int64_t frame, engine::EnteredStep& step);
  void evaluate(const DapJson& request, const DapJson& arguments, engine::EnteredStep& step);
  std::string path_of(const std::string& name) const;

  DapChannel& channel_;
  DapSession& session_;
  BuildLine line_;
  bool step_by_step_;       ///< stop at the next step, whatever it is
  std::uint64_t next_ = 0;  ///< steps before this id are behind us
  const solver::Graph* graph_ = nullptr;
  solver::VertexId at_ = solver::kNoInput;
  bool hit_breakpoint_ = false;
  DapVariables variables_;
};

/// Of the Dockerfile, as an editor names it.
std::string DapBuild::path_of(const std::string& name) const {
  const std::string path = line_.file.empty() ? join_path(line_.context, name) : line_.file;
  return std::filesystem::absolute(path).lexically_normal().string();
}

std::optional<solver::VertexId> DapBuild::choose(const std::vector<engine::StepEntry>& steps,
                                                 const solver::Graph& graph) {
  graph_ = &graph;
  for (const engine::StepEntry& step : steps) {
    const solver::Vertex& vertex = graph[step.id];
    if (step.id < next_ || step.type == "local" || vertex.spans.empty() || !vertex.spans[0]) continue;
    const Lines lines = lines_of(vertex);
    const std::set<std::uint32_t> wanted = session_.breakpoints(path_of(vertex.spans[0].source->name()));
    const auto hit = wanted.lower_bound(lines.first);
    hit_breakpoint_ = hit != wanted.end() && *hit <= lines.last;
    if (!hit_breakpoint_ && !step_by_step_) continue;
    next_ = step.id + 1;
    return at_ = step.id;
  }
  at_ = solver::kNoInput;
  return std::nullopt;
}

DapJson DapBuild::frames() const {
  DapJson out = DapJson::array();
  for (solver::VertexId id = at_; id != solver::kNoInput;) {
    const solver::Vertex& vertex = (*graph_)[id];
    const Lines lines = lines_of(vertex);
    DapJson frame{{"id", id + 1}, {"name", vertex.name}, {"line", lines.first}, {"column", lines.column}};
    if (lines.first != 0) {
      const std::string& name = vertex.spans[0].source->name();
      frame["endLine"] = lines.last;
      frame["source"] = {{"name", base_name(name)}, {"path", path_of(name)}};
    }
    out.push_back(std::move(frame));
    id = vertex.inputs.empty() ? solver::kNoInput : vertex.inputs[0];
  }
  return out;
}

/// Files are those of the step that is next; of the frames above it, what their instructions say.
DapJson DapBuild::scopes(std::int64_t frame, engine::EnteredStep& step) {
  const std::int64_t id = frame - 1;
  if (id < 0 || static_cast<std::size_t>(id) >= graph_->size()) return DapJson::array();
  std::shared_ptr<const cache::TreeView> files;
  if (id == at_) files = std::make_shared<const cache::TreeView>(step.files());
  return variables_.scopes((*graph_)[static_cast<solver::VertexId>(id)], files);
}

/// A line for the shell of the step; with buildx's "exec" before it or without.
void DapBuild::evaluate(const DapJson& request, const DapJson& arguments, engine::EnteredStep& step) {
  std::string text = arguments.value("expression", "");
  if (text.starts_with("exec ")) text.erase(0, 5);
  std::mutex mutex;
  std::string shown;
  engine::EnteredCommand command;
  command.argv = step.shell();
  command.argv.insert(command.argv.end(), {"-c", text});
  command.output = [&](LogStream, std::string_view data) {
    const std::lock_guard lock(mutex);
    if (shown.size() < (1u << 20)) shown += data;
  };
  const sandbox::Exit exit = step.run(command);
  if (!exit.setup_error.empty()) return channel_.refuse(request, exit.setup_error);
  if (exit.code != 0) shown += cat("exit code: ", exit.code, "\n");
  channel_.respond(request, {{"result", shown}, {"variablesReference", 0}});
}

/// False if the build is to go on.
bool DapBuild::serve(const DapJson& request, engine::EnteredStep& step) {
  const std::string command = request.value("command", "");
  const DapJson arguments = request.value("arguments", DapJson::object());
  if (command == "stackTrace") {
    DapJson all = frames();
    const std::size_t count = all.size();
    channel_.respond(request, {{"stackFrames", std::move(all)}, {"totalFrames", count}});
  } else if (command == "scopes") {
    channel_.respond(request, {{"scopes", scopes(arguments.value("frameId", std::int64_t{0}), step)}});
  } else if (command == "variables") {
    const auto reference = arguments.value("variablesReference", std::int64_t{0});
    channel_.respond(request, {{"variables", variables_.children(reference)}});
  } else if (command == "evaluate") {
    evaluate(request, arguments, step);
  } else if (command == "continue" || command == "next" || command == "stepIn" || command == "stepOut") {
    step_by_step_ = command == "next" || command == "stepIn";
    channel_.respond(request, {{"allThreadsContinued", true}});
    return false;
  } else {
    channel_.refuse(request, cat("unknown request ", command));
  }
  return true;
}

void DapBuild::stop(const std::string& reason, const std::string& text, engine::EnteredStep& step) {
  variables_.clear();
  session_.set_stopped(true);
  channel_.send_event("stopped",
                      {{"reason", reason}, {"description", text}, {"threadId", kThread}, {"allThreadsStopped", true}});
  for (bool waits = true; waits;) {
    const DapJson request = session_.next_request();
    if (request.is_null()) break;
    try {
      waits = serve(request, step);
    } catch (const std::exception& error) {
      channel_.refuse(request, error.what());
    }
  }
  session_.set_stopped(false);
}

engine::BuildResult DapBuild::run(const engine::Session& session, const CancelSource& cancel) {
  DapProgress progress(channel_);
  bool at_end = false;
  engine::EntryPoint point;
  point.before = true;
  point.choose = [&](const auto& steps, const auto& graph) { return choose(steps, graph); };
  point.visit = [&](engine::EnteredStep& step) {
    at_end = at_ == solver::kNoInput;
    if (!at_end) stop(hit_breakpoint_ ? "breakpoint" : "step", step.name(), step);
  };
  point.visit_failed = [&](const engine::StepFailed& failed, engine::EnteredStep& step) {
    for (solver::VertexId id = 0; id < graph_->size(); ++id)
      if ((*graph_)[id].name == failed.step) at_ = id;
    stop("exception", failed.failure.error.what(), step);
  };
  engine::BuildResult result;
  while (!at_end && !result.failure && !cancel.cancelled())
    result = engine::enter_build(session, line_.request, point, progress, cancel);
  if (result.failure || cancel.cancelled()) return result;
  return engine::Builder(session).build(line_.request, progress, cancel);
}

/// The words of the command line, and over them those of the launch request.
std::optional<BuildLine> launched_line(Arguments words, const DapJson& launch) {
  const std::string file = launch.value("dockerfile", ""), target = launch.value("target", ""),
                    context = launch.value("contextPath", "");
  if (!file.empty()) words.insert(words.begin(), cat("--file=", file));
  if (!target.empty()) words.insert(words.begin(), cat("--target=", target));
  auto line = parse_build_line(std::move(words));
  if (!line || context.empty()) return line;
  line->context = context;
  line->request.inputs.context = engine::DirectoryContext{context};
  return line;
}

int serve_build(DapChannel& channel, Arguments words) {
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  // The process that clones steps comes before any thread.
  auto line = parse_build_line(words);
  if (!line) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(line->root);
  DapSession requests(channel, cancel);
  const DapJson launch = requests.wait_for_launch();
  if (launch.is_null()) return exit_code::kInterrupted;
  line = launched_line(std::move(words), launch);
  DapBuild build(channel, requests, std::move(*line), launch.value("stopOnEntry", false));
  const engine::BuildResult result = build.run(session, cancel);
  int code = cancel.cancelled() ? exit_code::kInterrupted : exit_code::kSuccess;
  if (result.failure) {
    DapProgress(channel).say("stderr", failure_text(*result.failure, session.root));
    code = exit_code_of(*result.failure);
  }
  channel.send_event("terminated", DapJson::object());
  channel.send_event("exited", {{"exitCode", code}});
  return code;
}

}  // namespace

int dap_command(Arguments arguments) {
  std::string root, mode;
  Arguments words;
  CLI::App app{"Build under the control of an editor: the debug adapter protocol on stdin and stdout", "cbuild dap"};
  app.prefix_command();
  app.add_option("MODE", mode, "build")->required();
  app.add_option("WORD", words, "Flags and the context of the build");
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  if (mode != "build") throw Error(ErrorCode::usage, cat("dap: unknown mode '", mode, "'")).with_hint("dap build");
  if (!root.empty()) words.insert(words.begin(), cat("--root=", root));
  DapChannel channel(STDIN_FILENO, STDOUT_FILENO);
  return serve_build(channel, std::move(words));
}

}  // namespace cbuild::cli
