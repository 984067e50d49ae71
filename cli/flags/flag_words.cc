// SPDX-License-Identifier: Apache-2.0
//
// CLI11 decides by the length of a value whether there is one, so that "--tag=" takes the next word, and it reports an
// unknown flag without naming one that is near. Here the words are assigned to flags by the rules of docker's parser,
// with CLI11's description of the flags as the table; conversion, checks and help are left to CLI11.
#include "cli/flags/flag_words.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::cli {
namespace {

[[noreturn]] void refuse_word(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

bool is_switch(const CLI::Option& option) { return option.get_items_expected_max() == 0; }
/// Takes a value only as "--name=value".
bool has_default_value(const CLI::Option& option) { return !is_switch(option) && option.get_expected_min() == 0; }

bool takes_empty_value(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return !is_switch(option) && !has_default_value(option) && type.starts_with("TEXT") &&
         type.find('{') == std::string::npos;
}

class Reader {
 public:
  Reader(const CLI::App& app, const Arguments& words) : app_(&app), words_(words) {}

  Arguments read() {
    for (at_ = 0; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (app_->get_prefix_command() && !positionals_.empty()) {
        add_positional(word);  // a command and its own flags
      } else if (word == "--") {
        for (++at_; at_ < words_.size(); ++at_) add_positional(words_[at_]);
      } else if (word.starts_with("--")) {
        read_long(word.substr(2));
      } else if (word.size() > 1 && word.starts_with('-')) {
        read_short(word.substr(1));
      } else {
        read_plain(word);
      }
    }
    if (!positionals_.empty()) out_.emplace_back("--");
    out_.insert(out_.end(), positionals_.begin(), positionals_.end());
    return std::move(out_);
  }

 private:
  void read_long(const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const CLI::Option* option = find([&](const CLI::Option& o) { return o.check_lname(name); });
    if (option == nullptr) refuse_flag(name);
    const auto given = equals == std::string::npos ? std::nullopt : std::optional(text.substr(equals + 1));
    add(*option, cat("--", name), given);
  }

  /// "-t x", "-tx", "-t=x"; switches may stand together.
  void read_short(const std::string& text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::string name(1, text[i]);
      const CLI::Option* option = find([&](const CLI::Option& o) { return o.check_sname(name); });
      if (option == nullptr) refuse_word(cat("unknown flag -", name, " in '-", text, "'"), help());
      const std::string rest = text.substr(i + 1);
      if (rest.starts_with('=')) return add(*option, cat("-", name), rest.substr(1));
      if (is_switch(*option) || has_default_value(*option)) {
        add(*option, cat("-", name), std::nullopt);
        continue;
      }
      return add(*option, cat("-", name), rest.empty() ? std::nullopt : std::optional(rest));
    }
  }

  void read_plain(const std::string& word) {
    const auto commands = app_->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty() || !positionals_.empty()) return add_positional(word);
    std::vector<std::string> names;
    for (const CLI::App* command : commands) {
      names.push_back(command->get_name());
      if (names.back() != word) continue;
      out_.push_back(word);
      app_ = command;
      return;
    }
    refuse_word(cat(app_->get_name(), ": unknown command '", word, "'"), word_hint(word, names, "commands"));
  }

  void add_positional(const std::string& word) {
    std::size_t places = 0;
    for (const CLI::Option* option : app_->get_options())
      if (option->get_positional()) places += static_cast<std::size_t>(option->get_items_expected_max());
    if (positionals_.size() >= places) {
      const std::string before = positionals_.empty() ? "" : cat(" after '", positionals_.back(), "'");
      refuse_word(cat("unexpected argument '", word, "'", before), help());
    }
    positionals_.push_back(word);
  }

  void add(const CLI::Option& option, const std::string& shown, std::optional<std::string> value) {
    const std::string name = cat("--", option.get_lnames().front());
    if (!value && is_switch(option)) return out_.push_back(name);
    if (!value && has_default_value(option)) return out_.push_back(cat(name, "=true"));
    if (!value) {
      if (at_ + 1 >= words_.size()) refuse_word(cat(shown, " needs a value"), help());
      value = words_[++at_];
    }
    if (value->empty() && !takes_empty_value(option)) refuse_word(cat(shown, ": the value is empty"));
    if (is_switch(option)) {
      const auto truth = parse_bool(*value);
      if (!truth) refuse_word(cat(shown, ": '", *value, "' is neither true nor false"));
      return out_.push_back(cat(name, *truth ? "=true" : "=false"));
    }
    if (!value->empty()) return out_.push_back(cat(name, "=", *value));
    out_.push_back(name);
    out_.emplace_back();
  }

  template <typename Matches>
  const CLI::Option* find(const Matches& matches) const {
    for (const CLI::App* app = app_; app != nullptr; app = app->get_parent())
      for (const CLI::Option* option : app->get_options())
        if (option->nonpositional() && matches(*option)) return option;
    return nullptr;
  }

  [[noreturn]] void refuse_flag(const std::string& name) const {
    std::vector<std::string> names;
    for (const CLI::App* app = app_; app != nullptr; app = app->get_parent())
      for (const CLI::Option* option : app->get_options())
        for (const std::string& known : option->get_lnames())
          if (!option->get_group().empty()) names.push_back(known);
    const auto near = suggest(name, names);
    refuse_word(cat("unknown flag --", name), near ? cat("did you mean --", *near, "?") : help());
  }

  std::string help() const {
    const CLI::App* top = app_;
    while (top->get_parent() != nullptr) top = top->get_parent();
    return cat(top->get_name(), " --help lists all flags");
  }

  const CLI::App* app_;
  const Arguments& words_;
  std::size_t at_ = 0;
  Arguments out_, positionals_;
};

}  // namespace

Arguments plain_words(const CLI::App& app, const Arguments& words) { return Reader(app, words).read(); }

}  // namespace cbuild::cli
