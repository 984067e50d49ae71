// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/secret_values.h"

#include <algorithm>
#include <utility>

#include "base/http/url.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::size_t kShortestForm = 8;
constexpr std::size_t kLongestEncoded = 16u << 10;  ///< of a value whose encodings are looked for, too

/// Pieces of the longest pattern; the last one reaches back into the piece before it.
void add_form(std::vector<std::string>& forms, std::string_view form) {
  if (form.size() < kShortestForm) return;
  while (form.size() > PatternSet::kMaxPattern) {
    forms.emplace_back(form.substr(0, PatternSet::kMaxPattern));
    form.remove_prefix(std::min(PatternSet::kMaxPattern, form.size() - kShortestForm));
  }
  forms.emplace_back(form);
}

void add_lines(std::vector<std::string>& forms, const std::string& text) {
  for (const std::string& line : split(text, '\n')) add_form(forms, trim(line));
}

std::string url_alphabet(std::string text) { return replace_all(replace_all(std::move(text), "+", "-"), "/", "_"); }

/// The base64 of a longer text that has the value inside, as far as it depends on nothing else: three bytes become four
/// characters, so there are three ways.
void add_base64(std::vector<std::string>& forms, const std::string& value) {
  for (std::size_t before = 0; before < 3; ++before) {
    const std::string all = base64_encode(cat(std::string(before, '\0'), value));
    const std::size_t first = (before * 8 + 5) / 6, end = (before + value.size()) * 8 / 6;
    if (end <= first) continue;
    const std::string inner = all.substr(first, end - first);
    add_form(forms, inner);
    if (const std::string other = url_alphabet(inner); other != inner) add_form(forms, other);
  }
  // As base64(1) and openssl break lines.
  const std::string all = base64_encode(value);
  for (const std::size_t columns : {std::size_t{76}, std::size_t{64}}) {
    if (all.size() <= columns) continue;
    std::string wrapped;
    for (std::size_t at = 0; at < all.size(); at += columns)
      wrapped += cat(at == 0 ? "" : "\n", all.substr(at, columns));
    add_form(forms, wrapped);
    add_lines(forms, wrapped);
  }
}

std::string escapes_as(std::string (*change)(std::string_view), std::string text) {
  for (std::size_t at = 0; (at = text.find('%', at)) != std::string::npos; at += 3)
    text.replace(at, 3, change(text.substr(at, 3)));
  return text;
}

void add_escaped(std::vector<std::string>& forms, const std::string& value) {
  const std::string url = escapes_as(to_upper, http::url_encode(value));
  for (const std::string& form : {url, escapes_as(to_lower, url), replace_all(url, "%20", "+")})
    if (form != value) add_form(forms, form);
  const std::string json = replace_all(replace_all(value, "\\", "\\\\"), "\"", "\\\"");
  if (json != value) add_lines(forms, json);
  const std::string shell = replace_all(value, "'", "'\\''");
  if (shell != value) add_lines(forms, shell);
}

}  // namespace

std::vector<std::string> forms_of_secret(const std::string& value) {
  std::vector<std::string> forms;
  const std::string inner(trim(value));
  add_form(forms, inner);
  add_lines(forms, inner);
  if (inner.size() < kShortestForm || inner.size() > kLongestEncoded) return forms;
  add_base64(forms, inner);
  add_escaped(forms, inner);
  return forms;
}

SecretValues::SecretValues() : patterns_(std::make_shared<const PatternSet>(std::vector<std::string>())) {}

void SecretValues::add(const std::string& value) {
  const std::lock_guard lock(mutex_);
  if (!values_.insert(value).second) return;
  const std::size_t before = forms_.size();
  for (std::string& form : forms_of_secret(value)) forms_.insert(std::move(form));
  if (forms_.size() == before) return;
  patterns_ = std::make_shared<const PatternSet>(std::vector<std::string>(forms_.begin(), forms_.end()));
}

std::set<std::string> SecretValues::values() const {
  const std::lock_guard lock(mutex_);
  return values_;
}

std::shared_ptr<const PatternSet> SecretValues::patterns() const {
  const std::lock_guard lock(mutex_);
  return patterns_;
}

}  // namespace cbuild::solver::ops
