// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "frontend/syntax/parser.h"
#include "frontend/syntax/parser_report.h"
#include "frontend/syntax/parser_statement.h"

/// INCLUDE, an instruction of cbuild's own: the instructions of another file of the build context take its place. Read
/// only in files with the directive "# cbuild=include"; docs/decisions/include.md.
namespace cbuild::frontend {

/// A file being read: the Dockerfile, or one that it includes.
struct IncludeFrame {
  std::shared_ptr<const SourceText> source;
  std::string path;  ///< from the root of the build context; empty for the Dockerfile, which counts as standing there
  const IncludeFrame* includer = nullptr;
};

/// The argument of INCLUDE; nullopt if it is wrong, which is reported.
std::optional<Text> read_include(const Statement& statement, Report& report);

/// Opens the files that are included, as long as they stay within bounds.
class Includer {
 public:
  static constexpr std::size_t kMaxDepth = 16;
  static constexpr std::size_t kMaxFiles = 1000;
  static constexpr std::size_t kMaxBytes = 64u << 20;

  Includer(const ContextFileReader& read, Report& report) : read_(read), report_(report) {}

  /// The file that the INCLUDE at `at` of `includer` names; nullopt if it cannot be read, which is reported.
  std::optional<IncludeFrame> open(const Text& written, const Span& at, const IncludeFrame& includer);
  /// All files opened, in order.
  const std::vector<std::shared_ptr<const SourceText>>& sources() const { return sources_; }
  const IncludeMap& places() const { return places_; }

 private:
  bool may_open(const Text& written, const std::string& path, const IncludeFrame& includer);
  std::optional<std::string> read(const Text& written, const std::string& path);

  const ContextFileReader& read_;
  Report& report_;
  std::vector<std::shared_ptr<const SourceText>> sources_;
  IncludeMap places_;
  std::size_t bytes_ = 0;
};

}  // namespace cbuild::frontend
