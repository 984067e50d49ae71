// SPDX-License-Identifier: Apache-2.0
// The words of `cbuild run` and `cbuild debug`, checked before anything runs. What both take is declared once; mounts
// become absolute here, because the command may start in the directory of an earlier build.
#include "cli/flags/enter_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/words.h"
#include "cli/flags/flags.h"

namespace cbuild::cli {
namespace {

[[noreturn]] void refuse_entry(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

struct RawEntry {
  std::vector<std::string> environment, volumes, mounts;
  std::string working_dir, user, network, entrypoint;
  bool terminal = false;
};

/// Absolute, because the command may be run from another directory.
engine::HostMount checked(engine::HostMount mount, const std::string& flag, const std::string& text) {
  if (mount.source.empty() || !mount.target.starts_with('/'))
    refuse_entry(cat(flag, ": '", text, "' has no source, or its target is not an absolute path"));
  if (!sys::try_stat_at(AT_FDCWD, mount.source, 0)) refuse_entry(cat(flag, ": ", mount.source, " does not exist"));
  mount.source = std::filesystem::absolute(mount.source).string();
  return mount;
}

/// "NAME" takes the value of this process, and nothing if that has none.
void add_variable(const std::string& text, std::vector<std::string>& environment) {
  if (text.empty() || text.starts_with('=')) refuse_entry(cat("-e: '", text, "' is not NAME or NAME=VALUE"));
  if (text.find('=') != std::string::npos) return environment.push_back(text);
  if (const char* value = std::getenv(text.c_str())) environment.push_back(cat(text, "=", value));
}

NetworkMode parse_entry_network(const std::string& text) {
  if (text == "none") return NetworkMode::none;
  if (text != "host" && text != "default") refuse_entry(cat("--network: unknown mode '", text, "'"), "host or none");
  return NetworkMode::host;
}

void convert_entry(const CLI::App& app, const RawEntry& raw, EnterLine& line) {
  for (const std::string& text : raw.environment) add_variable(text, line.entered.environment);
  for (const std::string& text : raw.volumes) line.entered.mounts.push_back(parse_volume(text));
  for (const std::string& text : raw.mounts) line.entered.mounts.push_back(parse_bind_mount(text));
  if (!raw.working_dir.empty()) line.entered.working_dir = raw.working_dir;
  if (!raw.user.empty()) line.entered.user = raw.user;
  if (!raw.network.empty()) line.entered.network = parse_entry_network(raw.network);
  if (app.count("--tty") > 0) line.terminal = raw.terminal;
  if (line.wants_terminal() && isatty(STDIN_FILENO) == 0) refuse_entry("--tty: stdin is not a terminal");
}

void add_entry_flags(CLI::App& app, EnterLine& line, RawEntry& raw) {
  app.prefix_command();
  app.add_option("COMMAND", line.command, "Command and its arguments");
  app.option_defaults()->group("Command");
  app.add_option("-e,--env", raw.environment, "NAME=VALUE, or NAME to take it from the environment")
      ->allow_extra_args(false);
  app.add_option("-w,--workdir", raw.working_dir, "Directory to begin in");
  app.add_option("-u,--user", raw.user, "User, or USER:GROUP, by name or number");
  app.add_flag("-i,--interactive", line.input, "Pass stdin on to the command");
  app.add_flag("-t,--tty", raw.terminal, "Give the command a terminal (default: if stdin and stdout are one)");
  app.option_defaults()->group("Surroundings");
  app.add_option("-v,--volume", raw.volumes, "SOURCE:TARGET[:rw]: show a file or directory of this machine, read-only")
      ->allow_extra_args(false);
  app.add_option("--mount", raw.mounts, "type=bind,source=PATH,target=PATH[,readonly=false]: the same")
      ->allow_extra_args(false);
  app.add_option("--network", raw.network, "host or none (default: as the step has it; of an image: host)");
  app.option_defaults()->group("Flags");
  app.add_option("--build", line.build, "Build of the history: id or its beginning, or ^N (default: the last one)");
  app.add_option("--progress", line.progress, "How a build that is needed first is shown: auto, plain, tty, quiet")
      ->check(CLI::IsMember({"auto", "plain", "tty", "quiet"}));
}

}  // namespace

bool EnterLine::wants_terminal() const {
  return terminal.value_or(isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0);
}

engine::HostMount parse_volume(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) refuse_entry(cat("-v: '", text, "' is not SOURCE:TARGET[:rw]"));
  engine::HostMount mount{parts[0], parts[1], true};
  if (parts.size() == 3 && parts[2] != "ro" && parts[2] != "rw")
    refuse_entry(cat("-v: unknown option '", parts[2], "'"), "ro or rw");
  if (parts.size() == 3) mount.read_only = parts[2] == "ro";
  return checked(std::move(mount), "-v", text);
}

engine::HostMount parse_bind_mount(const std::string& text) {
  engine::HostMount mount;
  for (const std::string& field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    const std::string key = field.substr(0, equals),
                      value = equals == std::string::npos ? "true" : field.substr(equals + 1);
    if (key == "source" || key == "src") {
      mount.source = value;
    } else if (key == "target" || key == "dst" || key == "destination") {
      mount.target = value;
    } else if (key == "readonly" || key == "ro" || key == "readwrite" || key == "rw") {
      const auto truth = parse_bool(value);
      if (!truth) refuse_entry(cat("--mount: '", field, "' is neither true nor false"));
      mount.read_only = *truth == (key == "readonly" || key == "ro");
    } else if (key != "type" || value != "bind") {
      refuse_entry(cat("--mount: unknown field '", field, "'"), "type=bind, source, target, readonly");
    }
  }
  return checked(std::move(mount), "--mount", text);
}

std::optional<EnterLine> parse_run_line(Arguments arguments) {
  EnterLine line;
  RawEntry raw;
  CLI::App app{"Run a command in an image, or in a stage or step of a build; its changes are thrown away",
               "cbuild run"};
  app.add_option("IMAGE", line.subject,
                 "Name of an image, a layout directory, or of the last build: a stage, a number or :LINE of a step")
      ->required();
  add_entry_flags(app, line, raw);
  app.option_defaults()->group("Command");
  app.add_option("--entrypoint", raw.entrypoint, "Program in the place of the image's ENTRYPOINT and CMD");
  app.option_defaults()->group("Flags");
  app.add_option("--platform", line.platform, "Platform of the image (default: this machine's)");
  app.add_option("--pull", line.pull, "When to ask the registry: always, missing, never")
      ->check(CLI::IsMember({"always", "missing", "never"}));
  if (!parse_flags(app, line.root, std::move(arguments))) return std::nullopt;
  if (app.count("--entrypoint") > 0) line.entrypoint = raw.entrypoint;
  convert_entry(app, raw, line);
  return line;
}

std::optional<EnterLine> parse_debug_line(Arguments arguments) {
  EnterLine line;
  RawEntry raw;
  CLI::App app{"Enter a step of a build with a shell or a command; its changes are thrown away", "cbuild debug"};
  app.add_option("STEP", line.subject,
                 "Number, stage, :LINE of the Dockerfile, or a part of the name (default: the step that failed, else "
                 "the last one)");
  app.add_flag("--before", line.before, "The files as they were before the step (default: after it)");
  add_entry_flags(app, line, raw);
  if (!parse_flags(app, line.root, std::move(arguments))) return std::nullopt;
  convert_entry(app, raw, line);
  return line;
}

}  // namespace cbuild::cli
