// SPDX-License-Identifier: Apache-2.0
// The instructions that mostly change the image's config: each expands its words, changes the config, and adds the
// history entry that BuildKit would write, character by character. WORKDIR is the only one here that also makes a
// layer. RUN is in lower_run.cc, COPY and ADD in lower_copy.cc.
#include "frontend/lower/lower_instructions.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/lower/check_stage.h"
#include "frontend/lower/lower_owner.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/config_expose.h"
#include "frontend/stages/config_healthcheck.h"
#include "frontend/stages/config_signal.h"
#include "frontend/stages/history.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/text/expand.h"

namespace cbuild::frontend {

namespace {

std::vector<std::pair<std::string, std::string>> expand_pairs(const StageLowering& stage,
                                                              const std::vector<KeyValue>& pairs) {
  std::vector<std::pair<std::string, std::string>> out;
  out.reserve(pairs.size());
  for (const KeyValue& pair : pairs) out.emplace_back(stage.expand(pair.key), stage.expand(pair.value));
  return out;
}

std::optional<std::vector<std::string>> none_if_empty(std::vector<std::string> words) {
  if (words.empty()) return std::nullopt;
  return words;
}

/// BuildKit sorts the words as written, so that history shows "$b" before "80" whatever it expands to.
std::vector<std::string> expand_ports(const StageLowering& stage, const std::vector<Text>& ports) {
  std::vector<Text> sorted = ports;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Text& a, const Text& b) { return a.value < b.value; });
  std::vector<std::string> out;
  for (const Text& port : sorted) {
    at(port.span, [&] {
      const std::vector<std::string> words = expand_words(port.value, stage.state.scope.variables.environment(),
                                                          {.escape = stage.build.dockerfile.escape});
      for (const std::string& word : words) {
        const std::vector<std::string> parsed = parse_exposed_port(word);
        check_exposed_port(stage, word);
        out.insert(out.end(), parsed.begin(), parsed.end());
      }
    });
  }
  return out;
}

}  // namespace

std::vector<std::string> in_shell(const StageLowering& stage, const std::string& line) {
  std::vector<std::string> words = {"/bin/sh", "-c"};
  const std::optional<std::vector<std::string>>& shell = stage.state.image.config.shell;
  if (shell && !shell->empty()) words = *shell;
  words.push_back(line);
  return words;
}

std::vector<std::string> command_words(const StageLowering& stage, const CommandLine& command) {
  std::vector<std::string> words;
  for (const Text& argument : command.arguments) words.push_back(argument.value);
  return command.exec_form ? words : in_shell(stage, join(words, " "));
}

void apply(StageLowering& stage, const FromInstruction&) {
  reject(stage.span(), "FROM isn't allowed as an ONBUILD trigger");
}

void apply(StageLowering& stage, const EnvInstruction& env) {
  std::string shown = "ENV";
  check_key_values(stage, env.legacy);
  for (const auto& [name, value] : expand_pairs(stage, env.pairs)) {
    check_secret_name(stage, "ENV", name);
    stage.set_variable(name, value);
    shown += cat(" ", name, "=", value);
  }
  stage.add_history(shown, false);
}

void apply(StageLowering& stage, const LabelInstruction& label) {
  std::string shown = "LABEL";
  check_key_values(stage, label.legacy);
  for (const auto& [name, value] : expand_pairs(stage, label.pairs)) {
    stage.state.image.config.labels[name] = value;
    shown += cat(" ", name, "=", value);
  }
  stage.add_history(shown, false);
}

void apply(StageLowering& stage, const ArgInstruction& arg) {
  std::vector<std::string> shown;
  for (const ArgInstruction::Item& item : arg.items) {
    check_secret_name(stage, "ARG", item.name.value);
    std::vector<std::string> unset;
    shown.push_back(declare_arg(stage.state.scope, item, stage.build.globals, stage.build.dockerfile.escape, &unset));
    check_undefined(stage, unset);
    note_arg(stage, item);
  }
  stage.add_history(cat("ARG ", join(shown, " ")), false);
}

void apply(StageLowering& stage, const CmdInstruction& cmd) {
  check_used_once(stage, stage.cmd);
  check_command_form(stage, cmd.command);
  std::vector<std::string> words = command_words(stage, cmd.command);
  const std::string shown = cat("CMD ", quoted_list_text(words));
  stage.state.image.config.cmd = none_if_empty(std::move(words));
  stage.state.image.config.args_escaped = true;
  stage.command_set = true;
  stage.add_history(shown, false);
}

void apply(StageLowering& stage, const EntrypointInstruction& entrypoint) {
  check_used_once(stage, stage.entrypoint);
  check_command_form(stage, entrypoint.command);
  std::vector<std::string> words = command_words(stage, entrypoint.command);
  const std::string shown = cat("ENTRYPOINT ", quoted_list_text(words));
  stage.state.image.config.entrypoint = none_if_empty(std::move(words));
  if (!stage.command_set) stage.state.image.config.cmd.reset();
  stage.add_history(shown, false);
}

void apply(StageLowering& stage, const ShellInstruction& shell) {
  std::vector<std::string> words;
  for (const Text& word : shell.arguments) words.push_back(word.value);
  const std::string shown = cat("SHELL ", list_text(words));
  stage.state.image.config.shell = std::move(words);
  stage.add_history(shown, false);
}

void apply(StageLowering& stage, const ExposeInstruction& expose) {
  const std::vector<std::string> ports = expand_ports(stage, expose.ports);
  stage.state.image.config.exposed_ports.insert(ports.begin(), ports.end());
  stage.add_history(cat("EXPOSE ", list_text(ports)), false);
}

void apply(StageLowering& stage, const VolumeInstruction& volume) {
  std::vector<std::string> paths;
  for (const Text& path : volume.paths) {
    paths.push_back(stage.expand(path));
    if (paths.back().empty()) reject(path.span, "VOLUME specified can not be an empty string");
  }
  stage.state.image.config.volumes.insert(paths.begin(), paths.end());
  stage.add_history(cat("VOLUME ", list_text(paths)), false);
}

void apply(StageLowering& stage, const UserInstruction& user) {
  stage.state.image.config.user = stage.expand(user.user);
  stage.add_history(cat("USER ", stage.state.image.config.user), false);
}

/// The directory is a step of its own, whose owner is the current user only if it has to be made; it ignores
/// --no-cache.
void apply(StageLowering& stage, const WorkdirInstruction& workdir) {
  oci::ContainerConfig& config = stage.state.image.config;
  const std::string path = stage.expand(workdir.path);
  check_workdir(stage, path);
  config.working_dir = join_workdir(config.working_dir, path);
  const bool makes_layer = config.working_dir != "/";
  if (makes_layer) {
    if (stage.state.root == solver::kNoInput && names_owner(config.user)) {
      reject(stage.span(), "invalid user index: -1",
             cat("the root is empty so far and does not know user ", config.user));
    }
    solver::MakeDirAction action;
    action.path = clean_path(config.working_dir);
    action.owner = config.user;
    action.mtime_s = stage.build.globals.source_date_epoch;
    stage.set_root(stage.make_vertex(solver::FileOp{{action}}, stage.next_step(stage.instruction_text())));
  }
  stage.add_history(cat("WORKDIR ", config.working_dir), makes_layer);
}

void apply(StageLowering& stage, const StopsignalInstruction& stopsignal) {
  const std::string signal = stage.expand(stopsignal.signal);
  if (!is_stop_signal(signal)) {
    reject(stopsignal.signal.span, cat("invalid signal: ", signal), "use a number or a name such as SIGTERM");
  }
  stage.state.image.config.stop_signal = signal;
  stage.add_history(cat("STOPSIGNAL ", signal), false);
}

void apply(StageLowering& stage, const MaintainerInstruction& maintainer) {
  stage.state.image.author = maintainer.name.value;
  stage.add_history(cat("MAINTAINER ", maintainer.name.value), false);
}

void apply(StageLowering& stage, const HealthcheckInstruction& healthcheck) {
  check_used_once(stage, stage.healthcheck);
  stage.state.image.config.healthcheck = make_healthcheck(healthcheck);
  stage.add_history(healthcheck_created_by(*stage.state.image.config.healthcheck), false);
}

void apply(StageLowering& stage, const OnbuildInstruction& onbuild) {
  stage.state.image.config.on_build.push_back(onbuild.trigger.value);
}

}  // namespace cbuild::frontend
