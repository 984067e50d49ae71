// SPDX-License-Identifier: Apache-2.0
// The one description of all flags is their declaration for the parser (CLI11). This file reads it back as rows of
// plain values. From those come --help (here), the man pages (man_page.cc) and the completions (shell_completion.cc),
// so none of them can miss a flag. The library's own help is not used: it shows its types ("UINT:INT in [0 - 100]")
// instead of the words that docker has for values.
#include "cli/flags/flag_table.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <sstream>

#include "base/text.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kMostIndent = 36;

/// Words and files that complete the values of flags whose declaration does not list them.
struct Hint {
  std::string_view name;
  Completion completion;
  std::string_view choices;
};

constexpr Hint kHints[] = {
    {"--allow", Completion::choice,
     "network.host security.insecure security.capabilities security.seccomp security.apparmor security.label device "
     "buildx.local.delete"},
    {"--arg-keys", Completion::choice, "all used"},
    {"--authfile", Completion::file, ""},
    {"--ca-cert", Completion::file, ""},
    {"--call", Completion::choice, "build check outline targets"},
    {"--cdi-dir", Completion::directory, ""},
    {"--edit", Completion::file, ""},
    {"--file", Completion::file, ""},
    {"--iidfile", Completion::file, ""},
    {"--isolation", Completion::choice, "root user-namespace masked-proc chroot"},
    {"--lock", Completion::file, ""},
    {"--metadata-file", Completion::file, ""},
    {"--network", Completion::choice, "default host none sandbox"},
    {"--on-error", Completion::choice, "shell export="},
    {"--output", Completion::file, ""},
    {"--progress", Completion::choice, "auto tty plain quiet rawjson events"},
    {"--pull", Completion::choice, "always missing never"},
    {"--report", Completion::file, ""},
    {"--root", Completion::directory, ""},
    {"--sync", Completion::choice, "end later none"},
    {"context", Completion::directory, ""},
};

/// At least one for each command: --help and the man page show them.
struct CommandExample {
  std::string_view command;
  Example example;
};

constexpr CommandExample kExamples[] = {
    {"cbuild", {"cbuild -t app:1 .", "Build the Dockerfile of this directory, keep the image as app:1"}},
    {"cbuild", {"cbuild -t registry.example.com/team/app:1 --push .", "Build and push"}},
    {"cbuild", {"cbuild -o type=oci,dest=app.tar .", "Write the image as an OCI archive"}},
    {"cbuild", {"cbuild --target test --progress plain .", "Build one stage and show the output of its steps"}},
    {"cbuild bake", {"cbuild bake --print", "Show what the targets of docker-bake.hcl are"}},
    {"cbuild bake",
     {"cbuild bake --set '*.platform=linux/arm64' --push app", "Build and push target app for another platform"}},
    {"cbuild bench", {"cbuild bench --runs 5 .", "Build cold, unchanged and with one file edited, five times each"}},
    {"cbuild completion", {"source <(cbuild completion bash)", "Complete flags in this shell"}},
    {"cbuild copy", {"cbuild copy app:1 registry.example.com/team/app:1", "Push an image of the store"}},
    {"cbuild copy",
     {"cbuild copy --referrers docker://a.example.com/app:1 b.example.com/app:1",
      "With its signatures to another registry"}},
    {"cbuild dap", {"cbuild dap build .", "Wait for an editor's requests on stdin"}},
    {"cbuild debug", {"cbuild debug", "A shell in the step that failed, or in the last one"}},
    {"cbuild debug",
     {"cbuild debug --before :7 ls -l /src", "List files as they were before line 7 of the Dockerfile"}},
    {"cbuild doctor", {"cbuild doctor --root /data/cbuild", "Try what a build with that store would have"}},
    {"cbuild du", {"cbuild du --filter type=exec.cachemount", "Show the room that cache mounts take"}},
    {"cbuild explain", {"cbuild explain --misses", "Say why steps of the last build were not cached"}},
    {"cbuild graph", {"cbuild graph . | dot -Tsvg > steps.svg", "Draw the steps of a build of this directory"}},
    {"cbuild history", {"cbuild history --json", "List the builds of this store as JSON"}},
    {"cbuild history export", {"cbuild history export -o build.json", "Write the last build with its logs to a file"}},
    {"cbuild history inspect", {"cbuild history inspect ^1", "Show the build before the last one"}},
    {"cbuild history logs", {"cbuild history logs --step build", "Show the output of the steps of stage build"}},
    {"cbuild history ls", {"cbuild history ls --status failed", "List the builds that failed"}},
    {"cbuild history open",
     {"cbuild history open ^1 -o build.html", "Write the page of the build before the last one"}},
    {"cbuild history rm", {"cbuild history rm --all", "Forget all builds and their logs"}},
    {"cbuild images", {"cbuild images --json", "List the images of the store as JSON"}},
    {"cbuild images rm", {"cbuild images rm app:1", "Remove a name"}},
    {"cbuild index", {"cbuild index create -t app:1 app:1-amd64 app:1-arm64", "One name for two platforms"}},
    {"cbuild index create",
     {"cbuild index create --append -t app:1 app:1-riscv64", "Add a platform to what the name has"}},
    {"cbuild inspect", {"cbuild inspect --platform linux/amd64 debian:12", "Show config, layers and history"}},
    {"cbuild inspect", {"cbuild inspect --format '{{.Manifest.Digest}}' debian:12", "Print the digest"}},
    {"cbuild lock", {"cbuild lock --platform linux/amd64,linux/arm64 .", "Write Dockerfile.lock"}},
    {"cbuild lock", {"cbuild lock --check .", "Say what moved since, and exit with 1 if something did"}},
    {"cbuild lock", {"cbuild lock --update=alpine:3.20 .", "Take what this name gives now"}},
    {"cbuild login",
     {"cbuild login -u me --password-stdin registry.example.com < token", "Log in with a password or token in a file"}},
    {"cbuild logout", {"cbuild logout registry.example.com", "Forget the account"}},
    {"cbuild plugin", {"cbuild plugin install", "Let docker build and docker compose build use cbuild"}},
    {"cbuild plugin install",
     {"cbuild plugin install --directory /usr/local/lib/docker/cli-plugins", "For all users of this machine"}},
    {"cbuild plugin remove", {"cbuild plugin remove", "Give docker its own builder back"}},
    {"cbuild prune", {"cbuild prune --until 7d --max-used-space 20GB", "Remove what is old until 20 GB are left"}},
    {"cbuild run", {"cbuild run app:1", "Run the image's own command, as docker run would"}},
    {"cbuild run", {"cbuild run -v .:/src -w /src build make test", "Run the tests in stage build of the last build"}},
    {"cbuild sync", {"cbuild sync", "Make sure of all that was built with --sync=none, before the machine is copied"}},
    {"cbuild tag", {"cbuild tag app:1 app:latest", "Another name in the store"}},
    {"cbuild verify",
     {"cbuild verify --key cosign.pub registry.example.com/team/app:1", "Check the signature of an image"}},
};

/// docker's word for a value. `type` is the library's name of it, with the text it appends for checks: "TEXT", "SIZE",
/// "UINT:INT in [0 - 100]", "TEXT:{a,b}".
std::string value_name(const std::string& type, bool repeated) {
  const std::string name = type.substr(0, type.find(':'));
  if (name == "INT" || name == "UINT") return "int";
  if (name == "SIZE") return "bytes";
  if (name == "DURATION") return "duration";
  return repeated ? "stringArray" : "string";
}

std::vector<std::string> choices_of(const std::string& type) {
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return split(type.substr(open + 1, close - open - 1), ',');
}

void add_hint(FlagRow& row) {
  if (!row.choices.empty()) row.completion = Completion::choice;
  const auto hint = std::find_if(std::begin(kHints), std::end(kHints), [&](const Hint& h) {
    return std::find(row.names.begin(), row.names.end(), h.name) != row.names.end();
  });
  if (hint == std::end(kHints)) return;
  row.completion = hint->completion;
  if (!hint->choices.empty()) row.choices = split(std::string(hint->choices), ' ');
}

FlagRow row_of(const CLI::Option& option) {
  FlagRow row;
  for (const std::string& name : option.get_snames()) row.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) row.names.push_back("--" + name);
  row.is_argument = row.names.empty();
  if (row.is_argument) row.names.push_back(option.get_single_name());
  row.is_repeated = option.get_items_expected_max() > 1;
  row.is_required = option.get_required();
  row.summary = option.get_description();
  const std::string type = option.get_type_name();
  if (option.get_expected_max() > 0) row.value = value_name(type, row.is_repeated);
  row.choices = choices_of(type);
  row.is_value_optional = !row.value.empty() && option.get_expected_min() == 0;
  row.group = row.is_argument ? "Arguments" : option.get_group();
  if (row.group == "Options" || row.group == "OPTIONS") row.group = "Flags";
  add_hint(row);
  return row;
}

/// Rows of one group next to each other, the groups in the order in which they begin; flags of every command are last.
std::vector<FlagRow> grouped(const std::vector<FlagRow>& rows) {
  std::vector<FlagRow> out;
  std::vector<std::string> groups = {"Arguments"};
  for (const FlagRow& row : rows)
    if (row.group != "Global" && std::find(groups.begin(), groups.end(), row.group) == groups.end())
      groups.push_back(row.group);
  groups.emplace_back("Global");
  for (const std::string& group : groups)
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(out), [&](const FlagRow& r) { return r.group == group; });
  return out;
}

/// "-f, --file string", "--pull[=string]"; without a short name as far to the right as with one.
std::string flag_label(const FlagRow& row) {
  std::string label = row.is_argument || row.names.front().size() == 2 ? "" : "    ";
  for (std::size_t i = 0; i < row.names.size(); ++i) label += (i == 0 ? "" : ", ") + row.names[i];
  if (row.is_argument || row.value.empty()) return label;
  return row.is_value_optional ? cat(label, "[=", row.value, "]") : cat(label, " ", row.value);
}

/// `text` in lines that end at kColumns, all but the first indented by `indent`.
void wrap(std::ostream& out, const std::string& text, std::size_t indent) {
  std::size_t column = indent;
  bool first = true;
  for (const std::string& word : split(text, ' ')) {
    if (!first && column + 1 + word.size() > kColumns) {
      out << '\n' << std::string(indent, ' ') << word;
      column = indent + word.size();
    } else {
      out << (first ? "" : " ") << word;
      column += word.size() + (first ? 0 : 1);
    }
    first = false;
  }
  out << '\n';
}

void print_rows(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t widest = 0;
  for (const auto& [label, text] : rows) widest = std::max(widest, label.size() + 4);
  const std::size_t indent = std::min(widest, kMostIndent);
  for (const auto& [label, text] : rows) {
    out << "  " << label;
    if (label.size() + 4 > indent)
      out << '\n' << std::string(indent, ' ');
    else
      out << std::string(indent - 2 - label.size(), ' ');
    wrap(out, text, indent);
  }
}

void print_groups(std::ostream& out, const std::vector<FlagRow>& flags) {
  for (auto row = flags.begin(); row != flags.end();) {
    const std::string& group = row->group;
    std::vector<std::pair<std::string, std::string>> rows;
    for (; row != flags.end() && row->group == group; ++row) rows.emplace_back(flag_label(*row), row->summary);
    out << '\n' << group << ":\n";
    print_rows(out, rows);
  }
}

}  // namespace

std::string CommandTable::words() const {
  return name == "cbuild" ? "build" : name.substr(std::string("cbuild ").size());
}

CommandTable table_of(const CLI::App& app) {
  CommandTable table;
  table.name = app.get_name();
  if (const CLI::App* parent = app.get_parent()) table.name = cat(parent->get_name(), " ", table.name);
  table.summary = app.get_description();
  table.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty()) table.flags.push_back(row_of(*option));
  table.flags = grouped(table.flags);
  for (const CommandExample& example : kExamples)
    if (example.command == table.name) table.examples.push_back(example.example);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    table.commands.push_back(table_of(*command));
  return table;
}

std::string usage_line(const CommandTable& table) {
  std::string line = table.name == "cbuild" ? "cbuild [build] [flags]" : table.name + " [flags]";
  if (!table.commands.empty()) line += " [COMMAND]";
  for (const FlagRow& row : table.flags) {
    if (!row.is_argument) continue;
    const std::string name = to_upper(row.names.front()) + (row.is_repeated ? "..." : "");
    line += row.is_required ? " " + name : " [" + name + "]";
  }
  return line;
}

std::string help_text(const CommandTable& table) {
  std::ostringstream out;
  out << table.summary << "\n\nUsage: " << usage_line(table) << '\n';
  if (!table.commands.empty()) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const CommandTable& command : table.commands)
      rows.emplace_back(command.name.substr(table.name.size() + 1), command.summary);
    out << "\nCommands:\n";
    print_rows(out, rows);
  }
  print_groups(out, table.flags);
  if (!table.examples.empty()) out << (table.examples.size() > 1 ? "\nExamples:\n" : "\nExample:\n");
  for (const Example& example : table.examples) out << "  # " << example.summary << "\n  " << example.line << '\n';
  if (!table.footer.empty()) wrap(out << '\n', replace_all(table.footer, "\n", " "), 0);
  return out.str();
}

}  // namespace cbuild::cli
