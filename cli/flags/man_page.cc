// SPDX-License-Identifier: Apache-2.0
//
// Manual pages from the flag table that --help is made of, so that no flag can be missing. roff takes some characters
// for requests: all text passes through an escape.
#include "cli/flags/man_page.h"

#include <ostream>
#include <sstream>

#include "base/text.h"

namespace cbuild::cli {
namespace {

/// Parts that are the same in every page: exit codes (cli/exit_codes.h), variables, files.
constexpr std::pair<std::string_view, std::string_view> kExitCodes[] = {
    {"0", "Built, all outputs written."},
    {"1", "The Dockerfile is wrong, a base image cannot be fetched, or a step failed."},
    {"2", "The command line is wrong."},
    {"3", "The image was built, but an output or a push failed."},
    {"4", "A bug, or a machine that lacks something."},
    {"130", "Interrupted."},
};
constexpr std::pair<std::string_view, std::string_view> kEnvironment[] = {
    {"CBUILD_ROOT", "Directory of the store; --root has precedence."},
    {"DOCKER_CONFIG", "Directory of docker's config.json, which holds registry credentials."},
    {"REGISTRY_AUTH_FILE", "Registry credentials as podman writes them."},
    {"SSL_CERT_FILE, SSL_CERT_DIR", "Certificates that TLS servers are verified with instead of the system's."},
    {"HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "Proxies for registries and other sources."},
    {"DOCKER_DEFAULT_PLATFORM", "Platform of the result where --platform is not given."},
    {"BUILDKIT_PROGRESS, BUILDKIT_COLORS", "Way to show progress where --progress is not given, and its colours."},
    {"SOURCE_DATE_EPOCH", "Latest time in the image, as the build argument of that name."},
    {"SSH_AUTH_SOCK", "Socket of the agent that --ssh default passes on."},
};
constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
    {"/var/lib/cbuild", "Store of root."},
    {"$XDG_DATA_HOME/cbuild, ~/.local/share/cbuild", "Store of other users."},
    {"/etc/subuid, /etc/subgid", "Id ranges that a user's build maps into its user namespace."},
};

/// Text as roff prints it: no escape, no request, hyphens that can be copied.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '^')
      out += "\\(ha";
    else if (c == '~')
      out += "\\(ti";
    else if (c == '\'')
      out += "\\(aq";
    else
      out += c;
  }
  if (out.starts_with('.')) out.insert(0, "\\&");
  return out;
}

std::string bold(std::string_view text) { return cat("\\fB", roff(text), "\\fR"); }

/// "cbuild history logs" -> "cbuild-history-logs".
std::string page_name(const std::string& name) { return replace_all(name, " ", "-"); }

template <typename Rows>
void print_section(std::ostream& out, std::string_view title, const Rows& rows) {
  out << ".SH " << title << '\n';
  for (const auto& [name, text] : rows) out << ".TP\n" << bold(name) << '\n' << roff(text) << '\n';
}

void print_flag(std::ostream& out, const FlagRow& row) {
  out << ".TP\n";
  for (std::size_t i = 0; i < row.names.size(); ++i)
    out << (i == 0 ? "" : ", ") << bold(row.is_argument ? to_upper(row.names[i]) : row.names[i]);
  const bool in_brackets = row.is_value_optional;
  if (!row.is_argument && !row.value.empty())
    out << (in_brackets ? "[=" : " ") << "\\fI" << roff(row.value) << "\\fR" << (in_brackets ? "]" : "");
  out << '\n' << roff(row.summary) << '\n';
}

void print_flags(std::ostream& out, const CommandTable& table, std::string_view macro) {
  std::string group;
  for (const FlagRow& row : table.flags) {
    if (row.group != group && !macro.empty()) out << macro << ' ' << roff(row.group) << '\n';
    group = row.group;
    print_flag(out, row);
  }
}

void print_subcommands(std::ostream& out, const CommandTable& table) {
  if (table.commands.empty()) return;
  out << ".SH COMMANDS\n";
  for (const CommandTable& command : table.commands) {
    out << ".SS " << roff(usage_line(command)) << '\n' << roff(command.summary) << ".\n";
    print_flags(out, command, "");
  }
}

void print_examples(std::ostream& out, const std::vector<Example>& examples) {
  for (const Example& example : examples)
    out << roff(example.summary) << ":\n.PP\n.RS 4\n.nf\n" << roff(example.line) << "\n.fi\n.RE\n.PP\n";
}

void print_all_examples(std::ostream& out, const CommandTable& table) {
  out << ".SH EXAMPLES\n";
  print_examples(out, table.examples);
  for (const CommandTable& command : table.commands) print_examples(out, command.examples);
}

void print_other_commands(std::ostream& out, const std::vector<Example>& commands) {
  if (commands.empty()) return;
  out << ".SH COMMANDS\n";
  for (const Example& command : commands)
    out << ".TP\n" << bold(page_name(cat("cbuild ", command.line))) << "(1)\n" << roff(command.summary) << ".\n";
}

}  // namespace

std::string man_page(const CommandTable& table, const std::vector<Example>& other_commands) {
  std::ostringstream out;
  const std::string name = page_name(table.name);
  out << ".TH " << to_upper(name) << " 1 \"\" \"cbuild " CBUILD_VERSION "\" \"User Commands\"\n"
      << ".SH NAME\n"
      << roff(name) << " \\- " << roff(table.summary) << '\n'
      << ".SH SYNOPSIS\n"
      << roff(usage_line(table)) << '\n'
      << ".SH DESCRIPTION\n"
      << roff(table.summary) << ".\n";
  print_other_commands(out, other_commands);
  print_subcommands(out, table);
  out << ".SH OPTIONS\n";
  print_flags(out, table, ".SS");
  print_all_examples(out, table);
  print_section(out, "EXIT STATUS", kExitCodes);
  print_section(out, "ENVIRONMENT", kEnvironment);
  print_section(out, "FILES", kFiles);
  out << ".SH SEE ALSO\n"
      << (name == "cbuild" ? "" : "\\fBcbuild\\fR(1), ")
      << "the documentation in /usr/share/doc/cbuild, \\fBnewuidmap\\fR(1), \\fBsubuid\\fR(5)\n";
  return out.str();
}

}  // namespace cbuild::cli
