// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/parser_include.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "frontend/syntax/flags.h"
#include "frontend/text/grammar.h"

namespace cbuild::frontend {
namespace {

constexpr std::string_view kUsage = "write INCLUDE <path>";

/// `written` as a path from the root of the context: with a slash in front from there, else from the
/// directory of `includer`. nullopt if it leads out of the context.
std::optional<std::string> context_path(const std::string& written, const std::string& includer) {
  std::string path = written;
  if (!written.starts_with('/') && !includer.empty()) path = cat(dir_name(includer), "/", written);
  while (path.starts_with('/')) path.erase(0, 1);
  path = clean_path(path);
  if (path == ".." || path.starts_with("../")) return std::nullopt;
  return path;
}

const std::string& shown_name(const IncludeFrame& frame) { return frame.source->name(); }

/// "Dockerfile -> a.df -> b.df -> a.df".
std::string chain_text(const IncludeFrame& innermost, const std::string& next) {
  std::vector<std::string> names = {next};
  for (const IncludeFrame* frame = &innermost; frame != nullptr; frame = frame->includer) {
    names.push_back(shown_name(*frame));
  }
  std::reverse(names.begin(), names.end());
  return join(names, " -> ");
}

std::size_t depth_of(const IncludeFrame& frame) {
  std::size_t depth = 0;
  for (const IncludeFrame* outer = frame.includer; outer != nullptr; outer = outer->includer) ++depth;
  return depth;
}

bool is_being_read(const IncludeFrame& innermost, const std::string& path) {
  for (const IncludeFrame* frame = &innermost; frame->includer != nullptr; frame = frame->includer) {
    if (frame->path == path) return true;
  }
  return false;
}

}  // namespace

std::optional<Text> read_include(const Statement& statement, Report& report) {
  reject_flags(statement.flags, report);
  const std::vector<Range> words = split_blanks(statement.view(statement.rest));
  if (words.size() != 1) {
    report.malformed(statement.arguments_span(), "INCLUDE requires exactly one argument", std::string(kUsage));
    return std::nullopt;
  }
  Text path = statement.text(statement.in_rest(words[0]));
  if (path.value.find('$') == std::string::npos) return path;
  report.malformed(path.span, "variable expansion is not supported for INCLUDE",
                   "files are included before any variable has a value");
  return std::nullopt;
}

bool Includer::may_open(const Text& written, const std::string& path, const IncludeFrame& includer) {
  const auto reject = [&](std::string message, std::string hint) {
    report_.malformed(written.span, std::move(message), std::move(hint));
    return false;
  };
  if (is_being_read(includer, path)) {
    return reject(cat("INCLUDE cycle: ", chain_text(includer, path)), "a file cannot include itself");
  }
  if (depth_of(includer) >= kMaxDepth) {
    return reject(cat("INCLUDE is nested more than ", kMaxDepth, " deep: ", chain_text(includer, path)), {});
  }
  if (sources_.size() >= kMaxFiles) return reject(cat("more than ", kMaxFiles, " files are included"), {});
  return true;
}

std::optional<std::string> Includer::read(const Text& written, const std::string& path) {
  std::optional<std::string> text;
  try {
    if (read_) text = read_(path);
  } catch (const Error& error) {
    report_.malformed(written.span, cat("INCLUDE ", path, ": ", error.what()), error.hint());
    return std::nullopt;
  }
  if (!text) {
    report_.malformed(written.span, cat("INCLUDE ", path, ": no such file in the build context"),
                      read_ ? "a path is relative to the file that includes; the Dockerfile counts as standing in the "
                              "context's root"
                            : "this build has no directory as its context");
    return std::nullopt;
  }
  bytes_ += text->size();
  if (bytes_ <= kMaxBytes) return text;
  report_.malformed(written.span, cat("more than ", kMaxBytes >> 20, " MiB are included"));
  return std::nullopt;
}

std::optional<IncludeFrame> Includer::open(const Text& written, const Span& at, const IncludeFrame& includer) {
  const std::optional<std::string> path = context_path(written.value, includer.path);
  if (!path) {
    report_.malformed(written.span, cat("INCLUDE ", written.value, " leads out of the build context"),
                      "only files of the build context can be included");
    return std::nullopt;
  }
  if (!may_open(written, *path, includer)) return std::nullopt;
  std::optional<std::string> text = read(written, *path);
  if (!text) return std::nullopt;
  IncludeFrame frame{std::make_shared<const SourceText>(*path, std::move(*text)), *path, &includer};
  sources_.push_back(frame.source);
  places_.add(frame.source, at);
  return frame;
}

}  // namespace cbuild::frontend
