// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/history.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/text.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kComment = "buildkit.dockerfile.v0";

/// The value a command sees; an ARG without any value shows as empty.
std::string current_value(const DeclaredArg& arg, const Variables& variables) {
  const std::string* value = variables.find(arg.name);
  return value != nullptr ? *value : arg.value.value_or("");
}

std::vector<std::string> arg_words(const StageScope& scope) {
  std::vector<std::pair<std::string, std::string>> args;  // in order of the first declaration
  std::unordered_map<std::string_view, std::size_t> places;
  for (const DeclaredArg& arg : scope.declared) {
    std::string value = current_value(arg, scope.variables);
    const auto [place, is_new] = places.emplace(arg.name, args.size());
    if (is_new) {
      args.emplace_back(arg.name, std::move(value));
    } else {
      args[place->second].second = std::move(value);
    }
  }
  std::vector<std::string> out;
  if (!args.empty()) out.push_back(cat("|", args.size()));
  for (const auto& [name, value] : args) out.push_back(cat(name, "=", value));
  return out;
}

}  // namespace

void add_history(oci::ImageConfig& image, std::string created_by, Layer layer,
                 const std::optional<std::int64_t>& epoch) {
  oci::HistoryEntry entry;
  if (epoch) entry.created = format_rfc3339(*epoch);
  entry.created_by = std::move(created_by);
  entry.comment = kComment;
  entry.empty_layer = layer == Layer::none;
  image.history.push_back(std::move(entry));
}

std::string list_text(std::span<const std::string> words) { return cat("[", join(words, " "), "]"); }

std::string quoted_list_text(std::span<const std::string> words) {
  std::vector<std::string> quoted;
  quoted.reserve(words.size());
  for (const std::string& word : words) quoted.push_back(go_quote(word));
  return list_text(quoted);
}

std::string run_created_by(std::span<const std::string> argv, const StageScope& scope) {
  std::vector<std::string> words = arg_words(scope);
  words.insert(words.end(), argv.begin(), argv.end());
  return cat("RUN ", join(words, " "), " # buildkit");
}

std::string healthcheck_created_by(const oci::Healthcheck& check) {
  return cat("HEALTHCHECK {Test:", list_text(check.test), " Interval:", format_go_duration(check.interval_ns),
             " Timeout:", format_go_duration(check.timeout_ns),
             " StartPeriod:", format_go_duration(check.start_period_ns),
             " StartInterval:", format_go_duration(check.start_interval_ns), " Retries:", check.retries, "}");
}

}  // namespace cbuild::frontend
