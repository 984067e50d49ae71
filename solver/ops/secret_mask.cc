// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/secret_mask.h"

#include <algorithm>
#include <utility>

namespace cbuild::solver::ops {
namespace {

constexpr std::string_view kMasked = "***";

}  // namespace

void SecretMask::write(std::string_view data, const Sink& sink) {
  if (values_ == nullptr) return sink(data);
  std::size_t known = held_.size();
  if (auto current = values_->patterns(); current != patterns_) {
    // There are more values now: the part held back is read again.
    patterns_ = std::move(current);
    state_ = PatternSet::kStart;
    known = 0;
  }
  if (patterns_->empty()) return sink(data);
  std::string joined;
  if (!held_.empty()) joined = std::exchange(held_, {}).append(data);
  const std::string_view text = joined.empty() ? data : joined;
  scan(text, known);
  emit(text, text.size() - patterns_->depth(state_), sink);
}

void SecretMask::flush(const Sink& sink) {
  const std::string text = std::exchange(held_, {});
  emit(text, text.size(), sink);
  matches_.clear();
  state_ = PatternSet::kStart;
  said_ = false;
}

void SecretMask::scan(std::string_view text, std::size_t from) {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (state_ == PatternSet::kStart && (at = patterns_->find_start(text, at)) == text.size()) return;
    state_ = patterns_->next(state_, static_cast<unsigned char>(text[at]));
    if (const std::size_t length = patterns_->match(state_); length > 0)
      add_match({at + 1 >= length ? at + 1 - length : 0, at + 1});
  }
}

void SecretMask::add_match(Match match) {
  const auto first = std::lower_bound(matches_.begin(), matches_.end(), match.begin,
                                      [](const Match& known, std::size_t begin) { return known.end < begin; });
  auto last = first;
  for (; last != matches_.end() && last->begin <= match.end; ++last)
    match = {std::min(match.begin, last->begin), std::max(match.end, last->end)};
  matches_.insert(matches_.erase(first, last), match);
}

/// Passes on `text` up to `end` and holds back the rest. A match that reaches beyond `end` is said now.
void SecretMask::emit(std::string_view text, std::size_t end, const Sink& sink) {
  std::size_t at = 0;
  std::vector<Match> later;
  for (const Match& match : matches_) {
    if (match.begin >= end) {
      later.push_back({match.begin - end, match.end - end});
      continue;
    }
    if (match.begin > at) sink(text.substr(at, match.begin - at));
    if (match.begin > at || !said_) sink(kMasked);
    said_ = true;
    at = std::min(match.end, end);
    if (match.end > end) later.push_back({0, match.end - end});
  }
  if (at < end) {
    sink(text.substr(at, end - at));
    said_ = false;
  }
  held_ = text.substr(end);
  matches_ = std::move(later);
}

}  // namespace cbuild::solver::ops
