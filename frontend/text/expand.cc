// SPDX-License-Identifier: Apache-2.0
// One pass over the word, recursive only where a `${}` holds a word of its own. Everything that matters to the lexer is
// ASCII, so text between special characters is copied in runs of bytes; only the names of variables look at characters.
#include "frontend/text/expand.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "frontend/text/expand_pattern.h"
#include "frontend/text/grammar.h"
#include "frontend/text/utf8.h"

namespace cbuild::frontend {
namespace {

[[noreturn]] void fail(std::string message) { throw Error(ErrorCode::input, std::move(message)); }

/// Collects words: raw text always belongs to a word, other text is split at its blanks.
class Words {
 public:
  void add_raw(std::string_view text) { word_ += text; }

  void add(std::string_view text) {
    while (!text.empty()) {
      const utf8::Rune rune = utf8::decode(text);
      if (!utf8::is_space(rune.value)) {
        word_ += text.substr(0, rune.width);
      } else {
        flush();
      }
      text.remove_prefix(rune.width);
    }
  }

  std::vector<std::string> take() {
    flush();
    return std::move(words_);
  }

 private:
  void flush() {
    if (!word_.empty()) words_.push_back(std::exchange(word_, {}));
  }

  std::string word_;
  std::vector<std::string> words_;
};

/// Where the word is being read.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  std::string_view rest() const { return text_.substr(at_); }
  void skip(std::size_t bytes = 1) { at_ += bytes; }
  std::string_view take_rune() { return take(utf8::decode(rest()).width); }
  /// Up to the first of `special`, or to the end.
  std::string_view take_until(std::string_view special) {
    return take(std::min(rest().find_first_of(special), rest().size()));
  }
  /// With its quotes.
  std::string_view take_single_quoted() {
    const std::size_t close = text_.find('\'', at_ + 1);
    if (close == std::string_view::npos) {
      at_ = text_.size();
      fail("unexpected end of statement while looking for matching single-quote");
    }
    return take(close + 1 - at_);
  }
  /// "<<" and the blanks after it belong to the word that follows.
  std::string_view take_heredoc_operator() {
    const std::string_view all = rest();
    if (!all.starts_with("<<")) return take(1);
    return take(std::min(all.find_first_not_of("\t\r ", 2), all.size()));
  }

 private:
  std::string_view take(std::size_t bytes) {
    const std::string_view taken = text_.substr(at_, bytes);
    at_ += taken.size();
    return taken;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// The values of variables, as many bytes of them as an expansion may have.
class Values {
 public:
  Values(const Environment& environment, std::size_t budget) : environment_(environment), budget_(budget) {}

  std::optional<std::string> find(std::string_view name) {
    auto value = environment_(name);
    if (value) {
      spend(value->size());
    } else if (known_unset_.emplace(name).second) {
      unset_.emplace_back(name);
    }
    return value;
  }
  void spend(std::size_t bytes) {
    if (bytes > budget_) {
      exhausted_ = true;
      fail_expansion_too_large();
    }
    budget_ -= bytes;
  }
  bool exhausted() const { return exhausted_; }
  std::vector<std::string> take_unset() { return std::move(unset_); }

 private:
  const Environment& environment_;
  std::size_t budget_;
  bool exhausted_ = false;
  std::vector<std::string> unset_;
  std::unordered_set<std::string> known_unset_;
};

/// `$name`.
std::string unbraced(std::string_view name, Values& values, const ExpandOptions& options) {
  const auto value = values.find(name);
  if (!value && options.skip_unset) return cat('$', name);
  return value.value_or("");
}

class Expander {
 public:
  Expander(std::string_view text, const Environment& environment, const ExpandOptions& options)
      : text_(text),
        values_(environment, kMaxExpansion + text.size()),
        options_(options),
        raw_escapes_(options.raw_escapes) {}

  /// Expands the whole text; into words as well if `words` is given.
  std::string run(Words* words) {
    words_ = words;
    return run_until('\0');
  }

  std::vector<std::string> take_unset() { return values_.take_unset(); }

 private:
  std::string run_until(char stop);
  void step(char c, std::string& out, Words* words);
  std::string double_quoted();
  void escaped_in_double_quotes(std::string& out);
  std::string escaped();

  std::string dollar();
  std::string braced(const VariableReference& reference);
  std::string with_word(std::string_view name, std::string_view modifier);
  std::string with_replacement(std::string_view name);
  std::string nested(char stop, bool raw_escapes, const char* when_missing);

  Cursor text_;
  Values values_;
  const ExpandOptions& options_;
  bool raw_escapes_;
  int depth_ = 0;
  bool too_deep_ = false;
  Words* words_ = nullptr;
};

/// Expands up to an unquoted `stop`, which is consumed, or to the end for '\0'. Only the outermost call makes words.
std::string Expander::run_until(char stop) {
  Words* const words = depth_ == 0 ? words_ : nullptr;
  std::string special = "$";
  special += options_.escape;
  if (!options_.heredoc) special += "'\"";
  if (words != nullptr) special += '<';
  if (stop != '\0') special += stop;

  std::string out;
  while (true) {
    const std::string_view plain = text_.take_until(special);
    out += plain;
    if (words != nullptr) words->add(plain);
    if (text_.at_end()) break;
    const char c = text_.peek();
    if (c == stop && stop != '\0') {
      text_.skip();
      return out;
    }
    step(c, out, words);
  }
  if (stop != '\0') fail(cat("unexpected end of statement while looking for matching ", stop));
  return out;
}

void Expander::step(char c, std::string& out, Words* words) {
  std::string piece;
  if (c == '$') {
    piece = dollar();
  } else if (c == '\'') {
    piece = text_.take_single_quoted();
    if (!options_.raw_quotes) piece = piece.substr(1, piece.size() - 2);
  } else if (c == '"') {
    piece = double_quoted();
  } else if (c == options_.escape) {
    piece = escaped();
  } else {
    piece = text_.take_heredoc_operator();
  }
  out += piece;
  if (words == nullptr) return;
  if (c == '$') {
    words->add(piece);
  } else {
    words->add_raw(piece);
  }
}

std::string Expander::escaped() {
  std::string out;
  if (raw_escapes_) out += options_.escape;
  text_.skip();
  out += text_.take_rune();
  return out;
}

std::string Expander::double_quoted() {
  std::string out;
  text_.skip();
  if (options_.raw_quotes) out += '"';
  while (!text_.at_end()) {
    const char c = text_.peek();
    if (c == '"') {
      text_.skip();
      if (options_.raw_quotes) out += '"';
      return out;
    }
    if (c == '$') {
      out += dollar();
    } else if (c == options_.escape) {
      escaped_in_double_quotes(out);
    } else {
      out += c;
      text_.skip();
    }
  }
  fail("unexpected end of statement while looking for matching double-quote");
}

/// Only a quote, a dollar and the escape character itself can be escaped; otherwise the escape character is data.
void Expander::escaped_in_double_quotes(std::string& out) {
  text_.skip();
  if (raw_escapes_) out += options_.escape;
  if (text_.at_end()) return;
  const char c = text_.peek();
  if (c == '"' || c == '$' || c == options_.escape) {
    out += c;
    text_.skip();
  } else {
    out += options_.escape;
  }
}

std::string Expander::dollar() {
  text_.skip();
  const std::string_view rest = text_.rest();
  if (rest == "{") {
    text_.skip();
    fail("syntax error: missing '}'");
  }
  if (rest.starts_with("{{") || rest.starts_with("{}") || rest.starts_with("{:")) {
    fail("syntax error: bad substitution");
  }
  std::string value = "$";
  if (const auto parsed = parse_reference(rest)) {
    text_.skip(parsed->length);
    value = parsed->braced ? braced(*parsed) : unbraced(parsed->name, values_, options_);
  }
  values_.spend(value.size());
  return value;
}

std::string Expander::braced(const VariableReference& reference) {
  const std::string_view modifier = reference.modifier;
  if (modifier.empty()) fail("syntax error: missing '}'");
  if (modifier == "}") {
    const auto value = values_.find(reference.name);
    if (!value && options_.skip_unset) return cat("${", reference.name, '}');
    return value.value_or("");
  }
  if (modifier == "/") return with_replacement(reference.name);
  const bool known = modifier.front() == ':' ? modifier != ":#" && modifier != ":%"
                                             : std::string_view("+-?#%").find(modifier) != std::string_view::npos;
  if (!known) fail(cat("unsupported modifier (", modifier, ") in substitution"));
  return with_word(reference.name, modifier);
}

/// `${name<modifier>word}`. BuildKit reads the word before it looks at the value or at the letter after a colon.
std::string Expander::with_word(std::string_view name, std::string_view modifier) {
  const char operation = modifier.size() > 1 || modifier.front() != ':' ? modifier.back() : '\0';
  const bool empty_is_unset = modifier.front() == ':';
  const bool pattern = operation == '#' || operation == '%';
  std::string word = nested('}', pattern, "syntax error: missing '}'");
  const auto value = values_.find(name);
  if (!value && options_.skip_unset) return cat("${", name, modifier, word, '}');
  const bool unset = !value || (empty_is_unset && value->empty());
  switch (operation) {
    case '-':
      return unset ? word : *value;
    case '+':
      return unset ? std::string() : word;
    case '?':
      if (!unset) return *value;
      if (word.empty()) word = value ? "is not allowed to be empty" : "is not allowed to be unset";
      fail(cat(name, ": ", word));
    case '#':
    case '%': {
      const bool longest = word.starts_with(operation);
      const std::string_view text = std::string_view(word).substr(longest ? 1 : 0);
      try {
        const WordPattern parsed(text);
        return operation == '#' ? parsed.trim_prefix(value.value_or(""), longest)
                                : parsed.trim_suffix(value.value_or(""), longest);
      } catch (const Error& error) {
        fail(cat("invalid pattern (", text, ") in substitution: ", error.message()));
      }
    }
    default:
      fail(cat("unsupported modifier (", modifier, ") in substitution"));
  }
}

/// `${name/pattern/replacement}` and `${name//pattern/replacement}`, after the first slash.
std::string Expander::with_replacement(std::string_view name) {
  const bool all = text_.peek() == '/';
  if (all) text_.skip();
  const std::string pattern = nested('/', true, "syntax error: missing '/' in ${}");
  const std::string replacement = nested('}', true, "syntax error: missing '}'");
  const auto value = values_.find(name);
  if (!value && options_.skip_unset) return cat("${", name, '/', pattern, '/', replacement, '}');
  std::optional<WordPattern> parsed;
  try {
    parsed.emplace(pattern);
  } catch (const Error& error) {
    fail(cat("invalid pattern (", pattern, ") in substitution: ", error.message()));
  }
  const std::string text = value.value_or("");
  return all ? parsed->replace_all(text, replacement) : parsed->replace_first(text, replacement);
}

/// The word inside braces. Whatever is wrong in it, when the text ends there the missing end is what gets reported.
std::string Expander::nested(char stop, bool raw_escapes, const char* when_missing) {
  if (++depth_ > kMaxNesting) {
    too_deep_ = true;
    fail(cat("variable substitutions are nested more than ", kMaxNesting, " deep"));
  }
  const bool outer = std::exchange(raw_escapes_, raw_escapes);
  std::string word;
  try {
    word = run_until(stop);
  } catch (const Error&) {
    if (text_.at_end() && !values_.exhausted() && !too_deep_) fail(when_missing);
    throw;
  }
  raw_escapes_ = outer;
  --depth_;
  return word;
}

/// Runs `work` on valid UTF-8 and adds the word to its errors.
template <typename Work>
auto with_context(std::string_view word, const Work& work) {
  constexpr std::size_t kShown = 256;
  try {
    return utf8::valid(word) ? work(word) : work(utf8::sanitize(word));
  } catch (Error& error) {
    const std::string shown = word.size() > kShown ? cat(word.substr(0, kShown), "...") : std::string(word);
    error.add_context(cat("failed to process ", go_quote(shown)));
    throw;
  }
}

}  // namespace

Expansion expand_word(std::string_view word, const Environment& environment, const ExpandOptions& options) {
  return with_context(word, [&](std::string_view text) {
    Expander expander(text, environment, options);
    Expansion result{expander.run(nullptr), {}};
    result.unset = expander.take_unset();
    return result;
  });
}

std::vector<std::string> expand_words(std::string_view word, const Environment& environment,
                                      const ExpandOptions& options, std::vector<std::string>* unset) {
  return with_context(word, [&](std::string_view text) {
    Expander expander(text, environment, options);
    Words words;
    expander.run(&words);
    if (unset != nullptr) *unset = expander.take_unset();
    return words.take();
  });
}

}  // namespace cbuild::frontend
