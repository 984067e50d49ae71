// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/call_options.h"

#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::cli {
namespace {

using Question = CallOptions::Question;

constexpr Word<std::optional<Question>> kMethods[] = {
    {"build", std::nullopt},        {"check", Question::check},     {"lint", Question::check},
    {"outline", Question::outline}, {"targets", Question::targets}, {"subrequests.describe", Question::describe}};

[[noreturn]] void refuse_call(std::string message, std::string hint) {
  throw Error(ErrorCode::usage, std::move(message)).with_hint(std::move(hint));
}

std::optional<Question> parse_name(const std::string& word) {
  if (word == "lint") return Question::check;  // BuildKit's name, which docker compose sends
  if (const auto question = find_word(kMethods, word)) return *question;
  const std::optional<std::string> near = suggest(word, names_of(kMethods));
  refuse_call(cat("--call: unknown method '", word, "'"),
              near ? cat("did you mean ", *near, "?") : "build, check, outline, targets or subrequests.describe");
}

void parse_field(const std::string& key, const std::string& value, CallOptions& out) {
  if (key == "format") {
    if (value != "json" && value != "text") refuse_call(cat("--call: unknown format '", value, "'"), "json or text");
    out.json = value == "json";
  } else if (key == "ignorestatus") {
    if (value != "true" && value != "false" && value != "1" && value != "0")
      refuse_call(cat("--call: ignorestatus=", value, " is neither true nor false"), {});
    out.ignore_status = value == "true" || value == "1";
  } else {
    refuse_call(cat("--call: unknown field '", key, "'"), "fields: format, ignorestatus");
  }
}

}  // namespace

std::optional<CallOptions> parse_call(const std::string& text) {
  CallOptions out;
  std::optional<std::string> name;
  for (const std::string& field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    if (equals != std::string::npos) {
      parse_field(field.substr(0, equals), field.substr(equals + 1), out);
    } else if (name) {
      refuse_call(cat("--call: '", text, "' names two methods"), {});
    } else {
      name = field;
    }
  }
  if (!name) refuse_call(cat("--call: '", text, "' names no method"), "for example --call=check,format=json");
  const std::optional<Question> question = parse_name(*name);
  if (!question) return std::nullopt;
  out.question = *question;
  return out;
}

}  // namespace cbuild::cli
