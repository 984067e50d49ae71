// SPDX-License-Identifier: Apache-2.0
// `cbuild run` and `cbuild debug`. A stage or a step is one of a build of the history, which is asked for again by its
// own command line: nearly all of it is cached. An image becomes a build whose Dockerfile is a FROM of it, so that
// names of the store, layouts and registries are found by the rules of FROM.
#include "cli/enter_command.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "base/process/interrupts.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/entered.h"
#include "cli/flags/again.h"
#include "cli/flags/enter_options.h"
#include "cli/flags/options.h"
#include "cli/report/exit_codes.h"
#include "cli/report/failure_text.h"
#include "cli/report/history.h"
#include "cli/report/progress_views.h"
#include "engine/enter_build.h"
#include "engine/session.h"
#include "oci/reference.h"

namespace cbuild::cli {
namespace {

/// A build up to the place that is entered.
struct Entry {
  BuildLine line;
  std::string step;   ///< as find_steps() takes it; empty: the result of the target
  UniqueFd stream;    ///< that `line` reads
  bool quiet = true;  ///< nothing is expected to take time
};

BuildLine default_line(const Arguments& words) {
  auto line = parse_build_line(words);
  CBUILD_CHECK(line.has_value());
  return std::move(*line);
}

Entry image_entry(const EnterLine& wanted) {
  Arguments words;
  if (!wanted.platform.empty()) words.push_back(cat("--platform=", wanted.platform));
  if (!wanted.pull.empty()) words.push_back(cat("--pull=", wanted.pull));
  Entry entry{default_line(words), {}, {}, true};
  std::string from = wanted.subject;
  if (sys::try_stat_at(AT_FDCWD, cat(from, "/oci-layout"), 0)) from = cat("oci-layout://", from);
  if (from.find("://") != std::string::npos) {
    entry.line.request.inputs.named_contexts["image"] = from;
    from = "image";
  } else {
    (void)oci::parse_reference(from);
  }
  entry.stream = UniqueFd(::memfd_create("Dockerfile", MFD_CLOEXEC));
  if (!entry.stream) throw_errno(errno, "memfd_create");
  sys::write_all(entry.stream.get(), cat("FROM ", from, "\n"));
  if (::lseek(entry.stream.get(), 0, SEEK_SET) != 0) throw_errno(errno, "lseek");
  entry.line.request.inputs.context = engine::StreamContext{entry.stream.get()};
  return entry;
}

/// Asks for a build of the history again, in the directory where it was.
Entry build_entry(const engine::BuildEntry& build) {
  const auto again = read_again(build.again);
  if (!again)
    throw Error(ErrorCode::unsupported, cat("build ", build.id, " cannot be asked for again"))
        .with_hint("it read from stdin, or an older cbuild kept it: build once more, from files");
  if (::chdir(again->directory.c_str()) != 0) throw_errno(errno, cat("enter ", again->directory));
  Entry entry{default_line(again->words), {}, {}, false};
  if (entry.line.request.inputs.targets.size() > 1) entry.line.request.inputs.targets.resize(1);
  return entry;
}

bool has_stage(const engine::BuildEntry& build, const std::string& name) {
  return std::any_of(build.steps.begin(), build.steps.end(),
                     [&](const engine::StepEntry& step) { return !step.stage.empty() && iequals(step.stage, name); });
}

bool is_kept_image(cache::Store& store, const std::string& name) {
  try {
    return store.image(name) || store.image(oci::parse_reference(name).str());
  } catch (const Error&) {
    return false;  // not a reference
  }
}

/// An image of the store comes before a stage of the last build, and that before an image that has to be pulled.
Entry find_entry(const EnterLine& wanted, cache::Store& store) {
  const std::string& name = wanted.subject;
  if (wanted.build.empty() && is_kept_image(store, name)) return image_entry(wanted);
  const bool is_place = name.starts_with(':') || parse_int(name).has_value();
  if (wanted.build.empty() && !is_place && store.builds(1).empty()) return image_entry(wanted);
  const engine::BuildEntry build = find_build(store, wanted.build);
  if (!is_place && !has_stage(build, name)) {
    if (!wanted.build.empty()) throw Error(ErrorCode::usage, cat("build ", build.id, " has no stage '", name, "'"));
    Entry entry = image_entry(wanted);
    entry.quiet = false;
    return entry;
  }
  Entry entry = build_entry(build);
  if (is_place)
    entry.step = name;
  else
    entry.line.request.inputs.targets = {name};
  return entry;
}

/// The step that failed, else the last one.
std::string default_step(const engine::BuildEntry& build) {
  const auto steps = shown_steps(build);
  if (steps.empty()) throw Error(ErrorCode::usage, cat("build ", build.id, " had no steps"));
  std::size_t chosen = steps.size();
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (steps[i]->state == "failed") chosen = i + 1;
  return std::to_string(chosen);
}

solver::VertexId choose(const std::vector<engine::StepEntry>& steps, const std::string& text) {
  engine::BuildEntry build;
  build.id = "entered";
  build.steps = steps;
  const auto found = find_steps(build, text);
  return found.back()->id;  // of a stage: its last one
}

/// As docker has it: words behind an image are arguments of its ENTRYPOINT and take the place of its CMD.
Arguments image_argv(const EnterLine& wanted, const engine::EnteredStep& image) {
  Arguments argv = image.entrypoint();
  if (wanted.entrypoint) argv = wanted.entrypoint->empty() ? Arguments{} : Arguments{*wanted.entrypoint};
  if (wanted.command.empty() && !wanted.entrypoint) return {};  // its own
  argv.insert(argv.end(), wanted.command.begin(), wanted.command.end());
  return argv;
}

Arguments step_argv(const EnterLine& wanted, const engine::EnteredStep& step) {
  if (!wanted.command.empty()) return wanted.command;
  if (!wanted.wants_terminal() && !wanted.input)
    throw Error(ErrorCode::usage, "a shell needs a terminal").with_hint("give a command, or -i to read it from stdin");
  return step.shell();
}

StreamKind kind_of(const EnterLine& wanted) {
  if (wanted.wants_terminal()) return StreamKind::terminal;
  return wanted.input ? StreamKind::input : StreamKind::output;
}

ProgressMode mode_of_view(const EnterLine& wanted, const Entry& entry) {
  if (wanted.progress == "plain") return ProgressMode::plain;
  if (wanted.progress == "tty") return ProgressMode::tty;
  return wanted.progress == "quiet" || entry.quiet ? ProgressMode::quiet : ProgressMode::automatic;
}

int enter(const EnterLine& wanted, const engine::Session& session, Entry& entry) {
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  int code = exit_code::kSuccess;
  ClosableView view(make_progress_view(mode_of_view(wanted, entry), STDERR_FILENO));
  engine::EntryPoint point;
  if (!entry.step.empty()) point.choose = [&](const auto& steps, const auto&) { return choose(steps, entry.step); };
  point.before = wanted.before;
  point.visit = [&](engine::EnteredStep& step) {
    view.close();
    engine::EnteredCommand command = wanted.entered;
    command.argv = entry.step.empty() ? image_argv(wanted, step) : step_argv(wanted, step);
    code = run_entered(step, std::move(command), kind_of(wanted), STDOUT_FILENO);
  };
  const engine::BuildResult result = engine::enter_build(session, entry.line.request, point, view, cancel);
  view.close();
  if (!result.failure) return cancel.cancelled() ? exit_code::kInterrupted : code;
  std::cerr << failure_text(*result.failure, session.root);
  return exit_code_of(*result.failure);
}

/// A step of a build, by default the one that failed.
Entry find_step(const EnterLine& wanted, cache::Store& store) {
  const engine::BuildEntry build = find_build(store, wanted.build);
  Entry entry = build_entry(build);
  entry.step = wanted.subject.empty() ? default_step(build) : wanted.subject;
  return entry;
}

int enter_found(const std::optional<EnterLine>& wanted, Entry (*find)(const EnterLine&, cache::Store&)) {
  if (!wanted) return exit_code::kSuccess;
  const engine::Session session = engine::start_session(wanted->root);
  Entry entry = [&] {
    cache::Store store({.root = session.root, .user_xattr = session.user_xattr});
    return find(*wanted, store);
  }();
  return enter(*wanted, session, entry);
}

}  // namespace

int run_image_command(Arguments arguments) { return enter_found(parse_run_line(std::move(arguments)), find_entry); }

int debug_command(Arguments arguments) { return enter_found(parse_debug_line(std::move(arguments)), find_step); }

}  // namespace cbuild::cli
