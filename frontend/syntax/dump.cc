// SPDX-License-Identifier: Apache-2.0
// Two ways to write a parsed Dockerfile: dump() shows every node, for the golden files of the parser; print() writes a
// Dockerfile that parses to the same tree, which the golden and fuzz tests use as a round trip.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"
#include "frontend/syntax/parser.h"

namespace cbuild::frontend {
namespace {

/// Writes the tree, two blanks a level, one property a line.
class Dumper {
 public:
  std::string dump(const Dockerfile& dockerfile);

 private:
  void line(std::string_view text) { out_ += cat(std::string(2 * depth_, ' '), text, '\n'); }
  void text(std::string_view name, const std::string& value) { line(cat(name, ' ', go_quote(value))); }
  void text(std::string_view name, const Text& value) { text(name, value.value); }
  void text(std::string_view name, const std::optional<Text>& value) {
    if (value) text(name, value->value);
  }
  void texts(std::string_view name, const std::vector<Text>& values) {
    for (const Text& value : values) text(name, value);
  }
  void flag(std::string_view name, bool set) {
    if (set) line(name);
  }
  void instruction(const Instruction& instruction);
  void heredocs(const std::vector<Heredoc>& heredocs);
  void command(const CommandLine& command);
  void pairs(const std::vector<KeyValue>& pairs, bool legacy);

  void body(const FromInstruction&);
  void body(const RunInstruction&);
  void body(const CmdInstruction& cmd) { command(cmd.command); }
  void body(const EntrypointInstruction& entrypoint) { command(entrypoint.command); }
  void body(const ShellInstruction& shell) { texts("argument", shell.arguments); }
  void body(const CopyInstruction&);
  void body(const EnvInstruction& env) { pairs(env.pairs, env.legacy); }
  void body(const LabelInstruction& label) { pairs(label.pairs, label.legacy); }
  void body(const ArgInstruction&);
  void body(const ExposeInstruction& expose) { texts("port", expose.ports); }
  void body(const VolumeInstruction& volume) { texts("path", volume.paths); }
  void body(const UserInstruction& user) { text("user", user.user); }
  void body(const WorkdirInstruction& workdir) { text("path", workdir.path); }
  void body(const StopsignalInstruction& stop) { text("signal", stop.signal); }
  void body(const MaintainerInstruction& maintainer) { text("name", maintainer.name); }
  void body(const HealthcheckInstruction&);
  void body(const OnbuildInstruction& onbuild) { text("trigger", onbuild.trigger); }

  std::string out_;
  std::size_t depth_ = 0;
};

std::string lines_of(const Span& span) {
  if (!span) return "line ?";
  const auto first = span.source->position(span.begin).line;
  const auto last = span.source->position(span.end).line;
  return first == last ? cat("line ", first) : cat("lines ", first, '-', last);
}

std::string Dumper::dump(const Dockerfile& dockerfile) {
  for (const Directive& directive : dockerfile.directives)
    text(cat("directive ", directive.name.value), directive.value);
  for (const Instruction& arg : dockerfile.global_args) instruction(arg);
  for (const Stage& stage : dockerfile.stages) {
    line(stage.name.empty() ? "stage" : cat("stage ", go_quote(stage.name)));
    ++depth_;
    if (!stage.description.empty()) text("description", stage.description);
    instruction(stage.from);
    for (const Instruction& each : stage.instructions) instruction(each);
    --depth_;
  }
  for (const Diagnostic& warning : dockerfile.warnings) {
    line(cat("warning ", warning.rule, warning.rule.empty() ? "" : " ", lines_of(warning.span), ": ", warning.message));
  }
  return std::move(out_);
}

void Dumper::instruction(const Instruction& instruction) {
  line(cat(instruction.keyword.value, ' ', lines_of(instruction.span)));
  ++depth_;
  for (const std::string& comment : instruction.comment) text("comment", comment);
  for (const Flag& each : instruction.flags) {
    line(cat("flag --", each.name.value, each.value ? "=" + go_quote(each.value->value) : ""));
  }
  std::visit([this](const auto& kind) { body(kind); }, instruction.body);
  --depth_;
}

void Dumper::heredocs(const std::vector<Heredoc>& all) {
  for (const Heredoc& heredoc : all) {
    std::string head = cat("heredoc ", go_quote(heredoc.name.value));
    if (heredoc.fd != 0) head += cat(" fd=", heredoc.fd);
    if (heredoc.strip_tabs) head += " strip-tabs";
    if (!heredoc.expand) head += " verbatim";
    line(cat(head, ' ', lines_of(heredoc.span)));
    ++depth_;
    for (std::string_view rest = heredoc.body; !rest.empty();) {
      const std::size_t length = std::min(rest.find('\n'), rest.size() - 1) + 1;
      line(go_quote(rest.substr(0, length)));
      rest.remove_prefix(length);
    }
    --depth_;
  }
}

void Dumper::command(const CommandLine& command) {
  texts(command.exec_form ? "exec" : "shell", command.arguments);
  if (command.exec_form && command.arguments.empty()) line("exec nothing");
  flag("heredoc only", command.heredoc_only);
  heredocs(command.heredocs);
}

void Dumper::pairs(const std::vector<KeyValue>& all, bool legacy) {
  flag("legacy", legacy);
  for (const KeyValue& pair : all) line(cat(go_quote(pair.key.value), " = ", go_quote(pair.value.value)));
}

void Dumper::body(const FromInstruction& from) {
  text("image", from.image);
  text("platform", from.platform);
  if (from.name) text(from.as_keyword.value, *from.name);
}

void Dumper::body(const RunInstruction& run) {
  texts("mount", run.mounts);
  texts("device", run.devices);
  texts("resource", run.resources);
  text("network", run.network);
  text("security", run.security);
  text("timeout", run.timeout);
  text("retry", run.retry);
  command(run.command);
}

void Dumper::body(const CopyInstruction& copy) {
  text("from", copy.from);
  text("chown", copy.chown);
  text("chmod", copy.chmod);
  text("checksum", copy.checksum);
  texts("exclude", copy.excludes);
  flag("link", copy.link);
  flag("parents", copy.parents);
  flag("keep-git-dir", copy.keep_git_dir);
  if (copy.unpack) line(cat("unpack ", *copy.unpack ? "true" : "false"));
  texts("source", copy.sources);
  heredocs(copy.heredocs);
  text("destination", copy.destination);
}

void Dumper::body(const ArgInstruction& arg) {
  for (const ArgInstruction::Item& item : arg.items) {
    line(item.default_value ? cat(go_quote(item.name.value), " = ", go_quote(item.default_value->value))
                            : go_quote(item.name.value));
    if (!item.description.empty()) text("  description", item.description);
  }
}

void Dumper::body(const HealthcheckInstruction& check) {
  flag("none", check.none);
  text("interval", check.interval);
  text("timeout", check.timeout);
  text("start-period", check.start_period);
  text("start-interval", check.start_interval);
  text("retries", check.retries);
  if (!check.none) command(check.command);
}

void print_instruction(const Instruction& instruction, std::string& out) {
  for (const std::string& comment : instruction.comment) out += cat("# ", comment, '\n');
  if (const auto* onbuild = std::get_if<OnbuildInstruction>(&instruction.body)) {
    // Blanks at the end of a trigger are part of it.
    const std::string& trigger = onbuild->trigger.value;
    out += cat(instruction.keyword.value, ' ', trigger.substr(0, trigger.find('\n')), '\n');
  } else {
    out += instruction.original + '\n';
  }
  if (!instruction.bodies) return;
  const Span& bodies = instruction.bodies;
  out += std::string_view(bodies.source->text()).substr(bodies.begin, bodies.end - bodies.begin);
  out += '\n';
}

}  // namespace

std::string dump(const Dockerfile& dockerfile) { return Dumper().dump(dockerfile); }

std::string print(const Dockerfile& dockerfile) {
  std::string out;
  for (const Directive& directive : dockerfile.directives) {
    out += cat("# ", directive.name.value, '=', directive.value.value, '\n');
  }
  out += '\n';  // ends the directives: no comment below is taken for one
  for (const Instruction& arg : dockerfile.global_args) print_instruction(arg, out);
  for (const Stage& stage : dockerfile.stages) {
    print_instruction(stage.from, out);
    for (const Instruction& instruction : stage.instructions) print_instruction(instruction, out);
  }
  return out;
}

}  // namespace cbuild::frontend
