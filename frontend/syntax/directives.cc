// SPDX-License-Identifier: Apache-2.0
// The "# name=value" lines at the top of a Dockerfile. BuildKit reads them twice with different rules: "escape" may
// stand on an indented line but not below a "#!" line; for the others it is the other way round, and "syntax" is found
// in "//" comments and JSON as well, since a frontend may read any language. Both readings are kept.
#include "frontend/syntax/directives.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "frontend/text/grammar.h"
#include "frontend/text/lines.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

constexpr std::array<std::string_view, 4> kDirectiveNames = {"cbuild", "check", "escape", "syntax"};

/// Walks the directive lines at the top of a text; stops for good at the first other line.
class DirectiveScanner {
 public:
  DirectiveScanner(std::shared_ptr<const SourceText> source, std::size_t start, std::string_view mark, bool may_indent)
      : source_(std::move(source)), at_(start), mark_(mark), may_indent_(may_indent) {}

  /// The next directive, its name in lower case.
  std::optional<Directive> next();
  std::size_t position() const { return at_; }

 private:
  std::shared_ptr<const SourceText> source_;
  std::size_t at_;
  std::string_view mark_;
  bool may_indent_;
};

std::optional<Directive> DirectiveScanner::next() {
  const std::string_view text = source_->text();
  const std::size_t newline = std::min(text.find('\n', at_), text.size());
  std::string_view line = text.substr(at_, newline - at_);
  while (line.ends_with('\r')) line.remove_suffix(1);
  if (may_indent_) line = utf8::trim_left(line);
  if (!line.starts_with(mark_)) return std::nullopt;
  line = utf8::trim_left(line.substr(mark_.size()));
  const auto parts = parse_directive(line);
  if (!parts) return std::nullopt;
  const std::string name = to_lower(parts->name.of(line));
  if (std::find(kDirectiveNames.begin(), kDirectiveNames.end(), name) == kDirectiveNames.end()) return std::nullopt;
  const auto begin = static_cast<std::size_t>(line.data() - text.data());
  const auto span = [&](Range part) { return Span{source_, begin + part.begin, begin + part.end}; };
  at_ = std::min(newline + 1, text.size());
  return Directive{{name, span(parts->name)}, {std::string(parts->value.of(line)), span(parts->value)}};
}

std::size_t skip_shebang(std::string_view text, std::size_t start) {
  if (!text.substr(start).starts_with("#!")) return start;
  const std::size_t newline = text.find('\n', start);
  return newline == std::string_view::npos ? text.size() : newline + 1;
}

bool contains(const std::vector<Directive>& directives, const std::string& name) {
  return std::any_of(directives.begin(), directives.end(), [&](const Directive& d) { return d.name.value == name; });
}

/// All directives from `start`, up to a repeated one.
std::vector<Directive> scan(const std::shared_ptr<const SourceText>& source, std::size_t start, std::string_view mark) {
  DirectiveScanner scanner(source, start, mark, false);
  std::vector<Directive> found;
  while (auto directive = scanner.next()) {
    if (contains(found, directive->name.value)) break;
    found.push_back(std::move(*directive));
  }
  return found;
}

std::optional<SyntaxDirective> find_syntax(const std::vector<Directive>& directives) {
  for (const Directive& directive : directives) {
    if (directive.name.value != "syntax") continue;
    const std::string& value = directive.value.value;
    return SyntaxDirective{value.substr(0, value.find(' ')), value, directive.value.span};
  }
  return std::nullopt;
}

std::optional<SyntaxDirective> find_syntax_in_json(const std::shared_ptr<const SourceText>& source, std::size_t start) {
  const std::string_view text = std::string_view(source->text()).substr(start);
  if (!utf8::trim_left(text).starts_with('{')) return std::nullopt;
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  const auto member = document.find("syntax");
  if (member == document.end() || !member->is_string()) return std::nullopt;
  const auto value = member->get<std::string>();
  return SyntaxDirective{value, value, {source, start, start}};
}

/// "# cbuild=FEATURE,...": features beyond BuildKit's language.
void read_features(const Directive& directive, DirectiveBlock& block, Report& report) {
  for (const std::string& word : split(directive.value.value, ',')) {
    const std::string feature(trim(word));
    if (feature == "include") {
      block.includes = true;
      continue;
    }
    const std::vector<std::string> known = {"include"};
    const bool near = suggest(feature, known).has_value();
    report.malformed(directive.value.span, cat("the cbuild directive knows no feature ", go_quote(feature)),
                     near ? "did you mean include?" : "the only feature is include");
  }
}

}  // namespace

DirectiveBlock read_directives(const std::shared_ptr<const SourceText>& source, Report& report) {
  const std::size_t start = bom_length(source->text());
  DirectiveBlock block;
  DirectiveScanner scanner(source, start, "#", true);
  std::vector<Directive> seen;
  while (auto directive = scanner.next()) {
    const std::string& name = directive->name.value;
    const std::string& value = directive->value.value;
    if (contains(seen, name)) {
      report.malformed(directive->name.span, cat("only one ", name, " parser directive can be used"));
    } else if (name == "escape" && value != "\\" && value != "`") {
      report.malformed(directive->value.span, cat("invalid escape token '", value, "' does not match ` or \\"));
    } else if (name == "escape") {
      block.escape = value.front();
      block.directives.push_back(*directive);
    }
    seen.push_back(std::move(*directive));
  }
  block.end = scanner.position();
  for (Directive& directive : scan(source, skip_shebang(source->text(), start), "#")) {
    if (directive.name.value == "escape") continue;
    if (directive.name.value == "cbuild") read_features(directive, block, report);
    block.directives.push_back(std::move(directive));
  }
  std::sort(block.directives.begin(), block.directives.end(),
            [](const Directive& a, const Directive& b) { return a.name.span.begin < b.name.span.begin; });
  return block;
}

std::optional<SyntaxDirective> detect_syntax(const std::shared_ptr<const SourceText>& source) {
  const std::size_t start = skip_shebang(source->text(), bom_length(source->text()));
  for (const std::string_view mark : {"#", "//"}) {
    if (auto found = find_syntax(scan(source, start, mark))) return found;
  }
  return find_syntax_in_json(source, start);
}

}  // namespace cbuild::frontend
