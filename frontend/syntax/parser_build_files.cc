// SPDX-License-Identifier: Apache-2.0
// COPY, ADD and VOLUME: from the words of a statement to their part of the tree. A source that is a heredoc is taken
// out of the list of sources and gets the body that was read under its name. The other instructions are in the other
// parser_build files.
#include <array>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/text.h"
#include "frontend/syntax/flags.h"
#include "frontend/syntax/heredoc.h"
#include "frontend/syntax/parser_build.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

constexpr std::array<FlagSpec, 6> kCopyFlags = {{{"from", FlagKind::text},
                                                 {"chown", FlagKind::text},
                                                 {"chmod", FlagKind::text},
                                                 {"link", FlagKind::boolean},
                                                 {"parents", FlagKind::boolean},
                                                 {"exclude", FlagKind::list}}};
constexpr std::array<FlagSpec, 7> kAddFlags = {{{"chown", FlagKind::text},
                                                {"chmod", FlagKind::text},
                                                {"link", FlagKind::boolean},
                                                {"keep-git-dir", FlagKind::boolean},
                                                {"checksum", FlagKind::text},
                                                {"unpack", FlagKind::boolean},
                                                {"exclude", FlagKind::list}}};

/// Bodies belong to names: of two heredocs of one name both get the last body, and one in the JSON form, which
/// announces no bodies, gets none.
using Bodies = std::unordered_map<std::string_view, const Heredoc*>;

Bodies bodies_of(const Statement& statement) {
  Bodies bodies;
  for (const Heredoc& heredoc : statement.heredocs) bodies[heredoc.name.value] = &heredoc;
  return bodies;
}

void attach_body(const Heredoc& read, Heredoc& heredoc) {
  const std::string& written = read.strip_tabs ? read.raw_body : read.body;
  heredoc.body = heredoc.strip_tabs ? strip_leading_tabs(written) : written;
  if (heredoc.strip_tabs) heredoc.raw_body = written;
  heredoc.span = read.span;
}

void add_source(const Bodies& bodies, Text&& source, CopyInstruction& copy) {
  auto heredoc = try_parse_heredoc(source.value);
  if (!heredoc) {
    copy.sources.push_back(std::move(source));
    return;
  }
  heredoc->name.span = source.span;
  const auto body = bodies.find(heredoc->name.value);
  if (body != bodies.end()) attach_body(*body->second, *heredoc);
  copy.heredocs.push_back(std::move(*heredoc));
}

void build_paths(const Statement& statement, std::string_view keyword, Report& report, CopyInstruction& copy) {
  auto arguments = list_arguments(statement, report);
  if (!arguments) return;
  if (arguments->size() < 2) {
    report.error(statement.arguments_span(),
                 cat(keyword, " requires at least two arguments, but only one was provided. ",
                     "Destination could not be determined"),
                 cat("write ", keyword, " <source>... <destination>"));
    return;
  }
  copy.destination = std::move(arguments->back());
  arguments->pop_back();
  if (try_parse_heredoc(copy.destination.value)) {
    report.error(copy.destination.span, cat(keyword, " cannot accept a heredoc as a destination"),
                 "put the destination after the heredocs");
  }
  const Bodies bodies = bodies_of(statement);
  for (Text& source : *arguments) add_source(bodies, std::move(source), copy);
}

}  // namespace

InstructionBody build_copy(const Statement& statement, Report& report) {
  CopyInstruction copy;
  build_paths(statement, "COPY", report, copy);
  const FlagSet flags(statement.flags, kCopyFlags, report);
  copy.from = flags.text("from");
  copy.chown = flags.text("chown");
  copy.chmod = flags.text("chmod");
  copy.excludes = flags.list("exclude");
  copy.link = flags.boolean("link").value_or(false);
  copy.parents = flags.boolean("parents").value_or(false);
  return copy;
}

InstructionBody build_add(const Statement& statement, Report& report) {
  CopyInstruction add;
  add.add = true;
  build_paths(statement, "ADD", report, add);
  const FlagSet flags(statement.flags, kAddFlags, report);
  add.chown = flags.text("chown");
  add.chmod = flags.text("chmod");
  add.checksum = flags.text("checksum");
  add.excludes = flags.list("exclude");
  add.link = flags.boolean("link").value_or(false);
  add.keep_git_dir = flags.boolean("keep-git-dir").value_or(false);
  add.unpack = flags.boolean("unpack");
  return add;
}

InstructionBody build_volume(const Statement& statement, Report& report) {
  VolumeInstruction volume;
  reject_flags(statement.flags, report);
  auto paths = list_arguments(statement, report);
  if (!paths) return volume;
  if (paths->empty()) {
    report.error(statement.arguments_span(), "VOLUME requires at least one argument", "write VOLUME <path>...");
  }
  volume.paths = std::move(*paths);
  for (Text& path : volume.paths) {
    path.value = std::string(utf8::trim(path.value));
    if (path.value.empty()) report.error(path.span, "VOLUME specified can not be an empty string");
  }
  return volume;
}

}  // namespace cbuild::frontend
