// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/on_error.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "exporter/destination.h"

namespace cbuild::cli {
namespace {

/// A value of the flag; cli/on_error.cc carries out the actions.
struct OnErrorValue {
  std::string_view name;
  OnErrorAction action;
  bool writes_directory, needs_terminal;
};

constexpr OnErrorValue kOnErrorValues[] = {
    {"shell", OnErrorAction::shell, false, true},
    {"export", OnErrorAction::export_changes, true, false},
};

[[noreturn]] void refuse_on_error(const std::string& message, const std::string& hint) {
  throw Error(ErrorCode::usage, cat("--on-error: ", message)).with_hint(hint);
}

std::string forms() {
  std::vector<std::string> out;
  for (const OnErrorValue& value : kOnErrorValues) out.push_back(cat(value.name, value.writes_directory ? "=DIR" : ""));
  return join(out, " or ");
}

void check_directory(const std::string& directory) {
  exporter::Output output;
  output.type = exporter::OutputType::local;
  output.dest = directory;
  check_destination(output, false, "--on-error");
}

}  // namespace

OnError parse_on_error(std::string_view text, bool terminal) {
  if (text.empty()) return {};
  const std::size_t equals = text.find('=');
  const auto value = std::find_if(std::begin(kOnErrorValues), std::end(kOnErrorValues),
                                  [&](const OnErrorValue& v) { return v.name == text.substr(0, equals); });
  if (value == std::end(kOnErrorValues)) refuse_on_error(cat("unknown value '", text, "'"), forms());
  OnError out{value->action, equals == std::string_view::npos ? "" : std::string(text.substr(equals + 1))};
  if (value->writes_directory && out.directory.empty())
    refuse_on_error(cat(value->name, " needs a directory"), cat(value->name, "=DIR"));
  if (!value->writes_directory && equals != std::string_view::npos)
    refuse_on_error(cat(value->name, " takes no value"), forms());
  if (value->needs_terminal && !terminal)
    refuse_on_error(cat(value->name, " needs a terminal as stdin and stderr"), "export=DIR works without one");
  if (value->writes_directory) check_directory(out.directory);
  return out;
}

}  // namespace cbuild::cli
