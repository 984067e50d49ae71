// SPDX-License-Identifier: Apache-2.0
// Templates are parsed into a tree of nodes and carried out on JSON. Words of an action are read by a small recursive
// parser; a value is JSON, too, so that fields, elements and results of functions are the same thing. Depth, steps and
// the size of the result are bounded: a template may come from a file of somebody else.
#include "cli/report/go_template.h"

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/report/go_template_functions.h"

namespace cbuild::cli {
namespace {

using Value = nlohmann::ordered_json;

constexpr std::size_t kMostResult = 64u << 20, kDeepestNode = 100;

[[noreturn]] void fail_template(std::string_view action, const std::string& why) {
  throw Error(ErrorCode::usage, cat("template: {{", trim(action), "}}: ", why));
}

/// The text of a template, cut at "{{" and "}}".
struct Piece {
  bool is_action = false;
  std::string text;
};

/// "{{-" takes the blanks before it away, "-}}" those behind it.
std::vector<Piece> cut(std::string_view text) {
  std::vector<Piece> out;
  bool trim_left = false;
  while (true) {
    const std::size_t open = text.find("{{");
    std::string plain(text.substr(0, open));
    if (trim_left) plain.erase(0, std::min(plain.find_first_not_of(" \t\r\n"), plain.size()));
    const bool has_action = open != std::string_view::npos;
    if (has_action && text.substr(open + 2, 2).starts_with("-") && text.substr(open + 3, 1).find_first_of(" \t\n") == 0)
      plain.erase(plain.find_last_not_of(" \t\r\n") + 1);
    out.push_back({false, std::move(plain)});
    if (!has_action) return out;
    text.remove_prefix(open + 2);
    const std::size_t close = text.find("}}");
    if (close == std::string_view::npos) fail_template(text.substr(0, 40), "\"}}\" is missing");
    std::string action(text.substr(0, close));
    text.remove_prefix(close + 2);
    if (action.starts_with("- ")) action.erase(0, 2);
    trim_left = action.ends_with(" -");
    if (trim_left) action.resize(action.size() - 2);
    if (!trim(action).starts_with("/*")) out.push_back({true, std::string(trim(action))});
  }
}

struct Node {
  enum class Kind { text, action, branch, range, with } kind = Kind::text;
  std::string text;  ///< or the words of the action behind its keyword
  std::vector<Node> body, other;
};

/// Nodes of pieces up to the "end" or "else" of the surrounding one.
class NodeParser {
 public:
  explicit NodeParser(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  std::vector<Node> all() {
    std::vector<Node> out = list(0);
    if (at_ < pieces_.size()) fail_template(pieces_[at_].text, "nothing is open here");
    return out;
  }

 private:
  static std::string_view keyword(const std::string& action) {
    return std::string_view(action).substr(0, action.find_first_of(" \t\n("));
  }

  std::vector<Node> list(std::size_t depth) {
    if (depth > kDeepestNode) fail_template(pieces_[at_].text, "nested too deeply");
    std::vector<Node> out;
    for (; at_ < pieces_.size(); ++at_) {
      const Piece& piece = pieces_[at_];
      const std::string_view word = piece.is_action ? keyword(piece.text) : "";
      if (word == "end" || word == "else") return out;
      if (!piece.is_action || (word != "if" && word != "range" && word != "with")) {
        out.push_back({piece.is_action ? Node::Kind::action : Node::Kind::text, piece.text, {}, {}});
        continue;
      }
      out.push_back(block(word, piece.text.substr(word.size()), depth));
    }
    return out;
  }

  Node block(std::string_view word, std::string words, std::size_t depth) {
    Node node;
    node.kind = word == "if" ? Node::Kind::branch : word == "range" ? Node::Kind::range : Node::Kind::with;
    node.text = std::move(words);
    ++at_;
    node.body = list(depth + 1);
    if (at_ >= pieces_.size()) fail_template(cat(word, node.text), "its {{end}} is missing");
    const std::string& action = pieces_[at_].text;
    if (keyword(action) == "end") return node;
    const std::string rest(trim(std::string_view(action).substr(4)));
    if (rest.starts_with("if")) {  // its end is ours
      node.other.push_back(block("if", rest.substr(2), depth + 1));
      return node;
    }
    ++at_;
    node.other = list(depth + 1);
    if (at_ >= pieces_.size() || keyword(pieces_[at_].text) != "end") fail_template(action, "its {{end}} is missing");
    return node;
  }

  std::vector<Piece> pieces_;
  std::size_t at_ = 0;
};

/// "DiffIDs" and "diff_ids" are one name.
std::string folded(std::string_view name) {
  std::string out = to_lower(name);
  std::erase(out, '_');
  return out;
}

Value field_of(const Value& value, const std::string& name) {
  if (!value.is_object()) return {};
  if (const auto found = value.find(name); found != value.end()) return *found;
  const std::string wanted = folded(name);
  for (const auto& [key, member] : value.items())
    if (folded(key) == wanted) return member;
  return {};
}

using Variables = std::map<std::string, Value>;

/// The words of an action, taken from the front.
class Words {
 public:
  explicit Words(std::string_view words) : all_(words), rest_(words) {}

  char peek() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    return rest_.empty() ? '\0' : rest_[0];
  }
  bool take(char c) { return peek() == c && take_next(c); }
  /// Without blanks before it.
  bool take_next(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string take_name() {
    std::size_t size = 0;
    while (size < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[size])) || rest_[size] == '_')) ++size;
    std::string name(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return name;
  }
  Value take_string() {
    const char mark = rest_[0];
    std::string out;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == mark) {
        rest_.remove_prefix(i + 1);
        return out;
      }
      if (mark == '"' && rest_[i] == '\\' && i + 1 < rest_.size()) {
        const char next = rest_[++i];
        out += next == 'n' ? '\n' : next == 't' ? '\t' : next;
      } else {
        out += rest_[i];
      }
    }
    fail("a string does not end");
  }
  Value take_number() {
    std::size_t size = 1;
    while (size < rest_.size() && std::isdigit(static_cast<unsigned char>(rest_[size]))) ++size;
    const auto value = parse_int(rest_.substr(0, size));
    if (!value) fail(cat("invalid number ", go_quote(rest_.substr(0, size))));
    rest_.remove_prefix(size);
    return *value;
  }
  [[noreturn]] void fail(const std::string& why) const { fail_template(all_, why); }
  [[noreturn]] void fail_here() const { fail(cat("unexpected ", go_quote(rest_))); }

 private:
  const std::string_view all_;
  std::string_view rest_;
};

/// The value of the words of one action.
class Evaluation {
 public:
  Evaluation(std::string_view words, const Value& root, const Value& dot, Variables& variables)
      : words_(words), root_(root), dot_(dot), variables_(variables) {}

  Value whole() {
    Value out = pipeline(0);
    if (words_.peek() != '\0') words_.fail_here();
    return out;
  }

 private:
  Value pipeline(std::size_t depth) {
    if (depth > kDeepestNode) words_.fail("nested too deeply");
    Value value = command(depth, std::nullopt);
    while (words_.take('|')) value = command(depth, std::move(value));
    return value;
  }

  /// A function with its arguments, or one operand; `piped` is the last argument.
  Value command(std::size_t depth, std::optional<Value> piped) {
    const bool is_function = std::isalpha(static_cast<unsigned char>(words_.peek())) != 0;
    if (!is_function) {
      if (piped) words_.fail("a function has to follow \"|\"");
      return operand(depth);
    }
    const std::string name = words_.take_name();
    if (const auto constant = constant_of(name)) return *constant;
    std::vector<Value> arguments;
    while (words_.peek() != '\0' && words_.peek() != '|' && words_.peek() != ')') arguments.push_back(operand(depth));
    if (piped) arguments.push_back(*std::move(piped));
    try {
      return call_template_function(name, arguments);
    } catch (const Error& error) {
      words_.fail(error.what());
    }
  }

  static std::optional<Value> constant_of(const std::string& name) {
    if (name == "true" || name == "false") return Value(name == "true");
    return name == "nil" ? std::optional(Value()) : std::nullopt;
  }

  Value operand(std::size_t depth) {
    const char next = words_.peek();
    if (next == '\0') words_.fail("a value is missing");
    if (next == '"' || next == '`') return words_.take_string();
    if (next == '-' || std::isdigit(static_cast<unsigned char>(next))) return words_.take_number();
    if (next == '.') return fields(dot_, &dot_ == &root_);
    if (words_.take('(')) {
      Value value = pipeline(depth + 1);
      if (!words_.take(')')) words_.fail("\")\" is missing");
      return fields(std::move(value), false);
    }
    if (words_.take('$')) {
      const std::string name = words_.take_name();
      if (name.empty()) return fields(root_, true);
      const auto known = variables_.find(name);
      if (known == variables_.end()) words_.fail(cat("$", name, " is not set"));
      return fields(known->second, false);
    }
    const std::string word = words_.take_name();
    if (const auto constant = constant_of(word)) return *constant;
    if (word.empty()) words_.fail_here();
    words_.fail(cat(go_quote(word), " is not a value"));
  }

  /// ".A.B" behind a value. `at_root`: an unknown first name is a mistake of the template.
  Value fields(Value value, bool at_root) {
    while (words_.take_next('.')) {
      const std::string name = words_.take_name();
      if (name.empty()) return value;
      Value next = field_of(value, name);
      if (at_root && next.is_null()) check_known(value, name);
      value = std::move(next);
      at_root = false;
    }
    return value;
  }

  void check_known(const Value& root, const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& [key, member] : root.items()) {
      if (folded(key) == folded(name)) return;
      names.push_back("." + key);
    }
    words_.fail(cat("there is no field .", name, "; there are ", join(names, ", ")));
  }

  Words words_;
  const Value& root_;
  const Value& dot_;
  Variables& variables_;
};

class TemplateRun {
 public:
  explicit TemplateRun(const Value& root) : root_(root) {}

  std::string run(const std::vector<Node>& nodes) {
    all(nodes, root_);
    return std::move(out_);
  }

 private:
  void all(const std::vector<Node>& nodes, const Value& dot) {
    for (const Node& node : nodes) one(node, dot);
  }

  void one(const Node& node, const Value& dot) {
    switch (node.kind) {
      case Node::Kind::text:
        return append(node.text);
      case Node::Kind::action:
        return action(node.text, dot);
      case Node::Kind::branch:
        return all(is_template_true(value(node.text, dot)) ? node.body : node.other, dot);
      case Node::Kind::range:
        return range(node, dot);
      case Node::Kind::with: {
        const Value with = value(node.text, dot);
        return is_template_true(with) ? all(node.body, with) : all(node.other, dot);
      }
    }
  }

  void append(std::string_view text) {
    if (out_.size() + text.size() > kMostResult) throw Error(ErrorCode::usage, "template: the result is too large");
    out_ += text;
  }

  Value value(std::string_view words, const Value& dot) { return Evaluation(words, root_, dot, variables_).whole(); }

  /// "$name := value" sets a variable.
  void action(const std::string& words, const Value& dot) {
    const std::vector<std::string> names = assigned(words);
    if (names.empty()) return append(template_text(value(words, dot)));
    variables_[names[0]] = value(std::string_view(words).substr(words.find(":=") + 2), dot);
  }

  /// The names before ":="; none without it.
  static std::vector<std::string> assigned(const std::string& words) {
    const std::size_t assign = words.find(":=");
    if (!trim(words).starts_with("$") || assign == std::string::npos) return {};
    std::vector<std::string> out;
    for (const std::string& name : split(words.substr(0, assign), ',')) {
      const std::string_view bare = trim(name);
      if (!bare.starts_with("$") || bare.size() < 2) fail_template(words, "invalid variable");
      out.emplace_back(bare.substr(1));
    }
    if (out.size() > 2) fail_template(words, "too many variables");
    return out;
  }

  void range(const Node& node, const Value& dot) {
    const std::vector<std::string> names = assigned(node.text);
    const std::string_view words = node.text;
    const Value list = value(names.empty() ? words : words.substr(words.find(":=") + 2), dot);
    if (!list.is_array() && !list.is_object()) {
      if (!list.is_null()) fail_template(cat("range", node.text), "this is neither a list nor a map");
      return all(node.other, dot);
    }
    if (list.empty()) return all(node.other, dot);
    std::int64_t position = 0;
    for (const auto& [key, element] : list.items()) {
      if (names.size() == 2) variables_[names[0]] = list.is_object() ? Value(key) : Value(position);
      if (!names.empty()) variables_[names.back()] = element;
      all(node.body, element);
      ++position;
    }
  }

  const Value& root_;
  Variables variables_;
  std::string out_;
};

}  // namespace

std::string fill_template(std::string_view text, const Value& root) {
  return TemplateRun(root).run(NodeParser(cut(text)).all());
}

}  // namespace cbuild::cli
