// SPDX-License-Identifier: Apache-2.0
// A completion script has two parts. The fixed part finds the command among the words that are typed so far; without
// one it is a build. The part of each command holds its flags: which exist, which take a value, and the completion of
// that. bash and zsh share the way of the parts (a function for each command), fish has one `complete` line for each
// flag.
#include "cli/flags/shell_completion.h"

#include <algorithm>
#include <sstream>

#include "base/text.h"

namespace cbuild::cli {
namespace {

/// Finds command and subcommand, then the flag whose value is typed ("--flag value" or "--flag=value", which bash
/// splits at "=").
constexpr std::string_view kBashStart = R"(# bash completion for cbuild, made by `cbuild completion bash`

_cbuild() {
  local current=${COMP_WORDS[COMP_CWORD]} flag= joined= word command=build path i
  local commands= flags= argument= words= completes= choices=
  [[ ${COMP_WORDS[1]} == @(@COMMANDS@) && $COMP_CWORD -gt 1 ]] && command=${COMP_WORDS[1]}
  path=${command//-/_}
  "_cbuild_$path"
  for ((i = 2; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ " $commands " == *" $word "* ]]; then
      path+=_${word//-/_}
      "_cbuild_$path"
      break
    fi
  done
  if ((COMP_CWORD > 1)); then
    flag=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $current == = ]]; then
      current= joined=1
    elif [[ $flag == = ]]; then
      joined=1 flag=${COMP_WORDS[COMP_CWORD - 2]}
    fi
  fi
  if [[ $flag == -* ]] && "_cbuild_${path}_value" "$flag" "$joined"; then
    completes=${completes:-none}
  elif [[ $current == -* ]]; then
    completes=choice choices=$flags
  else
    completes=$argument choices=$words
    if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W "@WORDS@" -- "$current")); fi
    [[ -n $commands ]] && completes=choice choices=$commands
  fi
  case $completes in
    choice) COMPREPLY+=($(compgen -W "$choices" -- "$current")) ;;
    directory) compopt -o filenames; COMPREPLY+=($(compgen -d -- "$current")) ;;
    file) compopt -o filenames; COMPREPLY+=($(compgen -f -- "$current")) ;;
  esac
}
)";

constexpr std::string_view kZshStart = R"(#compdef cbuild
# zsh completion for cbuild, made by `cbuild completion zsh`

_cbuild() {
  local -a commands=(@COMMANDS@)
  if ((CURRENT == 2)); then
    [[ ${words[2]} == -* ]] || _describe command commands
    _cbuild_build
    return
  fi
  local command=${words[2]}
  if [[ -z ${commands[(r)$command:*]} ]]; then
    _cbuild_build
    return
  fi
  shift words
  ((CURRENT--))
  "_cbuild_${command//-/_}"
}
)";

constexpr std::string_view kFishStart = R"(# fish completion for cbuild, made by `cbuild completion fish`

function __fish_cbuild_is
    set -l words (commandline -opc)
    set -l known @COMMANDS@
    set -l command build
    if set -q words[2]; and contains -- $words[2] $known
        set command $words[2]
    end
    test "$command" = "$argv[1]"; or return 1
    set -q argv[2]; or return 0
    contains -- $argv[2] $words[3..]
end
complete -c cbuild -f
)";

std::string single_quoted(std::string_view text) { return cat("'", replace_all(std::string(text), "'", "'\\''"), "'"); }

/// In zsh's specs, brackets and colons end a part.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// Name of the shell function of a command: "history logs" -> "_cbuild_history_logs".
std::string function_of(const CommandTable& table) {
  return "_cbuild_" + replace_all(replace_all(table.words(), " ", "_"), "-", "_");
}

std::string last_word(const CommandTable& table) { return table.name.substr(table.name.rfind(' ') + 1); }

std::string command_names(const CommandTable& table) {
  std::vector<std::string> names;
  for (const CommandTable& command : table.commands) names.push_back(last_word(command));
  return join(names, " ");
}

std::string_view word_of(Completion completion) {
  switch (completion) {
    case Completion::none:
      return "none";
    case Completion::file:
      return "file";
    case Completion::directory:
      return "directory";
    case Completion::choice:
      return "choice";
  }
  return "none";
}

void print_bash_value(std::ostream& out, const FlagRow& row) {
  if (row.is_argument || row.value.empty()) return;
  out << "    " << join(row.names, " | ") << ") " << (row.is_value_optional ? "[[ -n $2 ]] || return 1; " : "")
      << "completes=" << word_of(row.completion);
  if (!row.choices.empty()) out << " choices=" << single_quoted(join(row.choices, " "));
  out << " ;;\n";
}

void print_bash(std::ostream& out, const CommandTable& table) {
  std::vector<std::string> names;
  std::string argument, words;
  for (const FlagRow& row : table.flags) {
    if (row.is_argument) {
      argument = word_of(row.completion);
      words = join(row.choices, " ");
    } else {
      names.insert(names.end(), row.names.begin(), row.names.end());
    }
  }
  out << '\n'
      << function_of(table) << "() {\n"
      << "  commands=" << single_quoted(command_names(table)) << " argument=" << single_quoted(argument)
      << " words=" << single_quoted(words) << '\n'
      << "  flags=" << single_quoted(join(names, " ")) << "\n}\n"
      << function_of(table) << "_value() {\n  case $1 in\n";
  for (const FlagRow& row : table.flags) print_bash_value(out, row);
  out << "    *) return 1 ;;\n  esac\n}\n";
  for (const CommandTable& command : table.commands) print_bash(out, command);
}

std::string zsh_action(const FlagRow& row) {
  switch (row.completion) {
    case Completion::none:
      return " ";
    case Completion::file:
      return "_files";
    case Completion::directory:
      return "_files -/";
    case Completion::choice:
      return cat("(", join(row.choices, " "), ")");
  }
  return " ";
}

void print_zsh_row(std::ostream& out, const FlagRow& row) {
  const std::string value =
      cat(row.is_value_optional ? "::" : ":", row.value.empty() ? row.names.front() : row.value, ":", zsh_action(row));
  if (row.is_argument) {
    out << "    " << single_quoted(cat(row.is_repeated ? "*" : "", value)) << '\n';
    return;
  }
  for (const std::string& name : row.names) {
    const bool is_long = name.starts_with("--");
    const std::string before = row.is_repeated ? "*" : row.names.size() > 1 ? cat("(", join(row.names, " "), ")") : "";
    const std::string spec = cat(before, name,
                                 row.value.empty() ? ""
                                 : is_long         ? "="
                                                   : "+",
                                 "[", zsh_text(row.summary), "]", row.value.empty() ? "" : value);
    out << "    " << single_quoted(spec) << '\n';
  }
}

void print_zsh(std::ostream& out, const CommandTable& table) {
  out << '\n' << function_of(table) << "() {\n  local -a flags=(\n";
  for (const FlagRow& row : table.flags) print_zsh_row(out, row);
  out << "  )\n";
  if (!table.commands.empty()) {
    out << "  local -a commands=(";
    for (const CommandTable& command : table.commands)
      out << single_quoted(cat(last_word(command), ":", zsh_text(command.summary))) << ' ';
    out << ")\n  if ((CURRENT == 2)); then\n    [[ ${words[2]} == -* ]] || _describe command commands\n"
        << "  elif [[ -n ${commands[(r)${words[2]}:*]} ]]; then\n    local command=${words[2]}\n    shift words\n    "
           "((CURRENT--))\n"
        << "    \"" << function_of(table) << "_$command\"\n    return\n  fi\n";
  }
  out << "  _arguments -s -S $flags\n}\n";
  for (const CommandTable& command : table.commands) print_zsh(out, command);
}

std::string fish_values(const FlagRow& row) {
  if (row.value.empty()) return "";
  switch (row.completion) {
    case Completion::none:
      return " -x";
    case Completion::file:
      return " -r -F";
    case Completion::directory:
      return " -x -a '(__fish_complete_directories)'";
    case Completion::choice:
      return cat(row.is_value_optional ? " -a " : " -x -a ", single_quoted(join(row.choices, " ")));
  }
  return "";
}

void print_fish(std::ostream& out, const CommandTable& table) {
  const std::string start = cat("complete -c cbuild -n '__fish_cbuild_is ", table.words(), "'");
  for (const FlagRow& row : table.flags) {
    if (row.is_argument) {
      if (row.completion == Completion::directory) out << start << " -a '(__fish_complete_directories)'\n";
      continue;
    }
    out << start;
    for (const std::string& name : row.names)
      out << (name.size() == 2 ? " -s " : " -l ") << name.substr(name.size() == 2 ? 1 : 2);
    out << fish_values(row) << " -d " << single_quoted(row.summary) << '\n';
  }
  for (const CommandTable& command : table.commands) {
    out << start << " -a " << last_word(command) << " -d " << single_quoted(command.summary) << '\n';
    print_fish(out, command);
  }
}

}  // namespace

std::optional<Shell> parse_shell(std::string_view name) {
  if (name == "bash") return Shell::bash;
  if (name == "zsh") return Shell::zsh;
  if (name == "fish") return Shell::fish;
  return std::nullopt;
}

std::string completion_start(Shell shell, std::span<const Example> commands) {
  std::vector<std::string> names, described;
  std::ostringstream fish;
  for (const Example& command : commands) {
    names.emplace_back(command.line);
    described.push_back(single_quoted(cat(command.line, ":", zsh_text(command.summary))));
    fish << "complete -c cbuild -n __fish_is_first_token -a " << command.line << " -d "
         << single_quoted(command.summary) << '\n';
  }
  if (shell == Shell::zsh) return replace_all(std::string(kZshStart), "@COMMANDS@", join(described, " "));
  if (shell == Shell::fish) return replace_all(std::string(kFishStart), "@COMMANDS@", join(names, " ")) + fish.str();
  return replace_all(replace_all(std::string(kBashStart), "@COMMANDS@", join(names, "|")), "@WORDS@", join(names, " "));
}

std::string completion_part(Shell shell, const CommandTable& table) {
  std::ostringstream out;
  if (shell == Shell::bash) print_bash(out, table);
  if (shell == Shell::zsh) print_zsh(out, table);
  if (shell == Shell::fish) print_fish(out, table);
  return out.str();
}

std::string completion_end(Shell shell) {
  if (shell == Shell::bash) return "\ncomplete -F _cbuild cbuild\n";
  if (shell == Shell::zsh)
    return "\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then _cbuild \"$@\"; else compdef _cbuild cbuild; fi\n";
  return "";
}

}  // namespace cbuild::cli
