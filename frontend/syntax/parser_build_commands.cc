// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "base/resources.h"
#include "base/text.h"
#include "frontend/syntax/flags.h"
#include "frontend/syntax/heredoc.h"
#include "frontend/syntax/mount_spec.h"
#include "frontend/syntax/parser_build.h"

namespace cbuild::frontend {
namespace {

constexpr std::array<FlagSpec, 7> kRunFlags = {{{"mount", FlagKind::list},
                                                {"device", FlagKind::list},
                                                {"resource", FlagKind::list},
                                                {"network", FlagKind::text},
                                                {"security", FlagKind::text},
                                                {"timeout", FlagKind::text},
                                                {"retry", FlagKind::text}}};

/// Runs `parse` on a flag's value and reports its errors.
template <typename Parse>
void check_value(const Text& value, Report& report, const Parse& parse) {
  try {
    parse(value.value);
  } catch (const Error& error) {
    report.error(value.span, error.message(), error.hint());
  }
}

template <std::size_t N>
void check_word(const std::vector<Flag>& flags, std::string_view name, const std::array<std::string_view, N>& words,
                const std::array<std::string_view, 2>& around, Report& report) {
  for (const Flag& flag : flags) {
    if (flag.name.value != name || !flag.value) continue;
    const std::string& value = flag.value->value;
    if (std::find(words.begin(), words.end(), value) != words.end()) continue;
    const std::vector<std::string> candidates(words.begin(), words.end());
    report.error(flag.value->span, cat(around[0], go_quote(value), around[1]),
                 cat("use one of ", join(candidates, ", ")));
  }
}

/// The flags of our own: what a command may use, how long it may run, and how often it is tried again.
void check_limits(const RunInstruction& run, Report& report) {
  Resources resources;
  for (const Text& limits : run.resources)
    check_value(limits, report, [&resources](const std::string& csv) { add_resources(csv, resources); });
  if (run.timeout) {
    const auto ns = parse_duration_ns(run.timeout->value);
    if (!ns || *ns < 0) {
      report.error(run.timeout->span, cat("invalid value ", go_quote(run.timeout->value), " for --timeout"),
                   "write a number with a unit: 90s, 10m");
    }
  }
  if (run.retry) {
    const auto count = parse_int(run.retry->value);
    if (!count || *count < 0 || *count > 100) {
      report.error(run.retry->span, cat("invalid value ", go_quote(run.retry->value), " for --retry"), "use 0 to 100");
    }
  }
}

void build_run_flags(const Statement& statement, Report& report, RunInstruction& run) {
  const FlagSet flags(statement.flags, kRunFlags, report);
  run.devices = flags.list("device");
  run.mounts = flags.list("mount");
  run.resources = flags.list("resource");
  run.network = flags.text("network");
  run.security = flags.text("security");
  run.timeout = flags.text("timeout");
  run.retry = flags.text("retry");
  for (const Text& device : run.devices) check_value(device, report, [](const auto& csv) { parse_device(csv); });
  for (const Text& mount : run.mounts) check_value(mount, report, [](const auto& csv) { check_mount(csv); });
  check_word<3>(statement.flags, "network", {"default", "none", "host"}, {"invalid network mode ", ""}, report);
  check_word<2>(statement.flags, "security", {"sandbox", "insecure"}, {"security ", " is not valid"}, report);
  check_limits(run, report);
}

}  // namespace

InstructionBody build_run(const Statement& statement, Report& report) {
  RunInstruction run;
  build_run_flags(statement, report, run);
  auto command = command_arguments(statement, statement.rest, report);
  if (!command) return run;
  run.command = std::move(*command);
  run.command.heredocs = statement.heredocs;
  run.command.heredoc_only = !statement.heredocs.empty() && try_parse_heredoc(run.command.arguments.front().value);
  return run;
}

InstructionBody build_cmd(const Statement& statement, Report& report) {
  reject_flags(statement.flags, report);
  return CmdInstruction{command_arguments(statement, statement.rest, report).value_or(CommandLine{})};
}

InstructionBody build_entrypoint(const Statement& statement, Report& report) {
  reject_flags(statement.flags, report);
  return EntrypointInstruction{command_arguments(statement, statement.rest, report).value_or(CommandLine{})};
}

InstructionBody build_shell(const Statement& statement, Report& report) {
  constexpr std::string_view kUsage = "write SHELL [\"executable\", \"parameter\"]";
  reject_flags(statement.flags, report);
  auto command = command_arguments(statement, statement.rest, report);
  if (!command) return ShellInstruction{};
  const bool empty = command->exec_form ? command->arguments.empty() : command->arguments.front().value.empty();
  if (empty) {
    report.error(statement.arguments_span(), "SHELL requires at least one argument", std::string(kUsage));
  } else if (!command->exec_form) {
    report.error(statement.arguments_span(), "SHELL requires the arguments to be in JSON form", std::string(kUsage));
  }
  return ShellInstruction{std::move(command->arguments)};
}

}  // namespace cbuild::frontend
