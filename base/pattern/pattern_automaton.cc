// SPDX-License-Identifier: Apache-2.0
// A position is "before element i"; a set of positions is a bit set. On each character the positions whose element
// takes it move up by one or, for stars, stay. Then positions spread over elements that may be empty: a run of such
// elements is a run of ones, and adding the active bits to it carries through the run (Navarro's closure by addition).
// "directories" keeps a second bit set of positions that are inside the text it swallows.
#include "base/pattern/pattern_automaton.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"

namespace cbuild::detail {

namespace {

using Kind = PatternElement::Kind;

constexpr std::size_t kAscii = 128;
constexpr char32_t kNone = 0x110000;  // before the first and after the last character

bool is_word(char32_t rune) {
  return (rune >= '0' && rune <= '9') || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') || rune == '_';
}

bool is_assertion(Kind kind) { return kind >= Kind::text_begin; }

bool holds(Kind assertion, char32_t before, char32_t after) {
  switch (assertion) {
    case Kind::text_begin:
      return before == kNone;
    case Kind::text_end:
      return after == kNone;
    case Kind::word_edge:
      return is_word(before) != is_word(after);
    case Kind::no_word_edge:
      return is_word(before) == is_word(after);
    default:
      return false;
  }
}

inline Rune next_rune(std::string_view text) {
  if (text.empty()) return {kNone, 0, true};
  const auto first = static_cast<unsigned char>(text.front());
  return first < kAscii ? Rune{first, 1, true} : decode_rune(text);
}

void set_bit(std::uint64_t* words, std::size_t bit) { words[bit / 64] |= std::uint64_t{1} << (bit % 64); }

}  // namespace

PatternAutomaton::PatternAutomaton(std::vector<PatternElement> elements)
    : elements_(std::move(elements)),
      words_(elements_.size() / 64 + 1),
      ascii_masks_(kAscii * 2 * words_),
      other_masks_(2 * words_),
      skippable_(words_),
      directories_(words_) {
  for (std::uint32_t i = 0; i < elements_.size(); ++i) index_element(i);
  std::sort(other_literals_.begin(), other_literals_.end());
}

void PatternAutomaton::index_element(std::uint32_t at) {
  const auto& [kind, set] = elements_[at];
  if (is_assertion(kind)) {
    has_assertions_ = true;
    return;
  }
  if (kind != Kind::one) set_bit(skippable_.data(), at);
  if (kind == Kind::directories) {
    set_bit(directories_.data(), at);
    return;
  }
  for (std::size_t c = 0; c < kAscii; ++c) {
    std::uint64_t* masks = &ascii_masks_[c * 2 * words_];
    if (set.contains(static_cast<char32_t>(c))) add_to_masks(at, masks, masks + words_);
  }
  const bool only_ascii = std::all_of(set.ranges.begin(), set.ranges.end(), [](auto r) { return r.last < kAscii; });
  if (only_ascii) {
    if (set.negated) add_to_masks(at, other_masks_.data(), &other_masks_[words_]);
  } else if (!set.negated && set.ranges.size() == 1 && set.ranges[0].first == set.ranges[0].last) {
    other_literals_.emplace_back(set.ranges[0].first, at);
  } else {
    other_sets_.push_back(at);
  }
}

void PatternAutomaton::add_to_masks(std::uint32_t at, std::uint64_t* one, std::uint64_t* star) const {
  set_bit(elements_[at].kind == Kind::star ? star : one, at);
}

/// For a character outside ASCII.
void PatternAutomaton::fill_masks(char32_t rune, std::uint64_t* one, std::uint64_t* star) const {
  const auto middle = other_masks_.begin() + static_cast<std::ptrdiff_t>(words_);
  std::copy(other_masks_.begin(), middle, one);
  std::copy(middle, other_masks_.end(), star);
  auto literal = std::lower_bound(other_literals_.begin(), other_literals_.end(), std::pair(rune, std::uint32_t{0}));
  for (; literal != other_literals_.end() && literal->first == rune; ++literal)
    add_to_masks(literal->second, one, star);
  for (const std::uint32_t at : other_sets_)
    if (elements_[at].set.contains(rune)) add_to_masks(at, one, star);
}

template <typename State>
void PatternAutomaton::close(State& state, const State& skippable) const {
  bool carry = false;
  for (std::size_t w = 0; w < state.size(); ++w) {
    std::uint64_t sum = 0;
    const bool first = __builtin_add_overflow(skippable[w], state[w] & skippable[w], &sum);
    const bool second = __builtin_add_overflow(sum, std::uint64_t{carry}, &sum);
    state[w] |= sum ^ skippable[w];
    carry = first || second;
  }
}

template <typename State>
State PatternAutomaton::skippable_at(char32_t before, char32_t after, State blank) const {
  std::copy(skippable_.begin(), skippable_.end(), blank.begin());
  for (std::size_t i = 0; has_assertions_ && i < elements_.size(); ++i)
    if (holds(elements_[i].kind, before, after)) set_bit(blank.data(), i);
  return blank;
}

template <typename State>
bool PatternAutomaton::run(std::string_view text, State state, State inside, State scratch) const {
  State star_scratch = scratch;
  State skippable = skippable_at(kNone, kNone, scratch);
  char32_t before = kNone, masked = kNone;
  state[0] = 1;
  for (;;) {
    const Rune rune = next_rune(text);
    if (has_assertions_) skippable = skippable_at(before, rune.value, std::move(skippable));
    close(state, skippable);
    if (text.empty()) return (state[elements_.size() / 64] >> (elements_.size() % 64) & 1) != 0;

    Masks masks{scratch.data(), star_scratch.data()};
    if (rune.value < kAscii) {
      masks.one = &ascii_masks_[rune.value * 2 * words_];
      masks.star = masks.one + words_;
    } else if (rune.value != masked) {
      fill_masks(rune.value, scratch.data(), star_scratch.data());
      masked = rune.value;
    }

    std::uint64_t carry = 0, alive = 0;
    for (std::size_t w = 0; w < state.size(); ++w) {
      const std::uint64_t swallowing = (state[w] & directories_[w]) | inside[w];
      const std::uint64_t moving = (state[w] & masks.one[w]) | (rune.value == '/' ? swallowing : 0);
      inside[w] = rune.value == '\n' ? 0 : swallowing;
      state[w] = (moving << 1) | carry | (state[w] & masks.star[w]);
      carry = moving >> 63;
      alive |= state[w] | inside[w];
    }
    if (alive == 0) return false;
    before = rune.value;
    text.remove_prefix(rune.size);
  }
}

bool PatternAutomaton::matches(std::string_view text) const {
  using Small = std::array<std::uint64_t, 1>;
  if (words_ == 1) return run(text, Small{}, Small{}, Small{});
  return run(text, Words(words_), Words(words_), Words(words_));
}

}  // namespace cbuild::detail
