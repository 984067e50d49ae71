// SPDX-License-Identifier: Apache-2.0
// The output of a command has no bound, its log and its display have. Two views are cut from the same bytes: the one
// that is shown goes by BuildKit's rules (size, average rate, and at the end the last 256 KiB of the part that was not
// shown); the one on disk has the first bytes as they come and the last ones from memory when the step is over.
#include "solver/ops/step_log.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t limit_of(const char* text, std::int64_t otherwise) {
  if (text == nullptr) return otherwise;
  const std::string_view view(text);
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size()) return otherwise;
  return value < 0 ? LogLimits::kNone : std::int64_t{value};
}

/// "2MiB", "976.5625KiB".
std::string binary_size(std::int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char number[32];
  const auto end = std::to_chars(number, number + sizeof number, value).ptr;
  return cat(std::string_view(number, static_cast<std::size_t>(end - number)), kUnits[unit]);
}

std::string notice(StreamClip::Reason reason, const LogLimits& limits) {
  const std::string limit = reason == StreamClip::Reason::speed ? cat(binary_size(limits.shown_bytes_per_second), "/s")
                                                                : binary_size(limits.shown_bytes);
  return cat("\n[output clipped, log limit ", limit, " reached]\n");
}

}  // namespace

void TailBuffer::append(std::string_view data) {
  total_ += data.size();
  if (data.size() >= capacity_) {
    data_.assign(data.substr(data.size() - capacity_));
    next_ = 0;
    return;
  }
  const std::size_t fresh = std::min(capacity_ - data_.size(), data.size());
  data_.append(data.substr(0, fresh));
  for (data.remove_prefix(fresh); !data.empty();) {
    const std::size_t part = std::min(capacity_ - next_, data.size());
    std::memcpy(data_.data() + next_, data.data(), part);
    next_ = (next_ + part) % capacity_;
    data.remove_prefix(part);
  }
}

std::string TailBuffer::take() {
  std::rotate(data_.begin(), data_.begin() + static_cast<std::ptrdiff_t>(next_), data_.end());
  next_ = 0;
  total_ = 0;
  return std::exchange(data_, {});
}

LogLimits log_limits_of(const char* max_size, const char* max_speed) {
  LogLimits limits;
  limits.shown_bytes = limit_of(max_size, limits.shown_bytes);
  limits.shown_bytes_per_second = limit_of(max_speed, limits.shown_bytes_per_second);
  return limits;
}

std::size_t StreamClip::admit(std::string_view data, std::int64_t now_ns) {
  const auto size = static_cast<std::int64_t>(data.size());
  const std::int64_t before = std::exchange(printed_, printed_ + size);
  std::int64_t allowed = limits_.shown_bytes;
  reason_ = Reason::size;
  if (limits_.shown_bytes_per_second != LogLimits::kNone) {
    const std::int64_t seconds = std::max<std::int64_t>((now_ns - began_ns_ + kSecond - 1) / kSecond, 1);
    const std::int64_t by_rate = seconds * limits_.shown_bytes_per_second;
    if (allowed == LogLimits::kNone || by_rate <= allowed) {
      allowed = by_rate;
      reason_ = Reason::speed;
    }
  }
  const std::int64_t shown = allowed == LogLimits::kNone ? size : std::clamp<std::int64_t>(allowed - before, 0, size);
  if (shown > 0) rest_.take();  // output that is shown again does not continue the part before it
  rest_.append(data.substr(static_cast<std::size_t>(shown)));
  return static_cast<std::size_t>(shown);
}

StepLog::StepLog(const LogLimits& limits, std::int64_t began_ns, OpenFile open, Show show, const SecretValues* masked)
    : limits_(limits),
      open_(std::move(open)),
      show_(std::move(show)),
      masks_{SecretMask(masked), SecretMask(masked)},
      now_ns_(began_ns),
      clips_{StreamClip(limits, began_ns), StreamClip(limits, began_ns)},
      tail_(limits.kept_tail) {}

StepLog::~StepLog() = default;

void StepLog::write(LogStream stream, std::string_view data, std::int64_t now_ns) {
  now_ns_ = now_ns;
  masks_[index(stream)].write(data, [&](std::string_view text) { admit(stream, text); });
}

void StepLog::end_attempt() {
  for (const LogStream stream : {LogStream::out, LogStream::err})
    masks_[index(stream)].flush([&](std::string_view text) { admit(stream, text); });
}

void StepLog::admit(LogStream stream, std::string_view data) {
  keep(data);
  StreamClip& view = clips_[index(stream)];
  const std::size_t shown = view.admit(data, now_ns_);
  if (shown > 0) show_(stream, data.substr(0, shown));
  if (shown == data.size() || std::exchange(said_[static_cast<std::size_t>(view.reason())], true)) return;
  show_(stream, notice(view.reason(), limits_));
}

void StepLog::keep(std::string_view data) {
  const auto room = static_cast<std::size_t>(limits_.kept_head - head_);
  const std::string_view head = data.substr(0, std::min(room, data.size()));
  head_ += head.size();
  if (!head.empty()) put(head);
  if (data.size() > head.size()) tail_.append(data.substr(head.size()));
}

// A full disk must not end the step; the screen still has the text.
void StepLog::put(std::string_view data) {
  if (broken_) return;
  try {
    if (!file_) file_ = open_();
    kept_ = static_cast<bool>(file_);
    if (kept_) sys::write_all(file_.get(), data);
  } catch (const Error&) {
    file_.reset();
    broken_ = true;
  }
}

void StepLog::close() {
  end_attempt();
  for (const LogStream stream : {LogStream::out, LogStream::err})
    if (const std::string rest = clips_[index(stream)].rest(); !rest.empty()) show_(stream, rest);
  const std::uint64_t behind_head = tail_.total();
  const std::string tail = tail_.take();
  if (behind_head > tail.size()) put(cat("\n[cbuild: ", behind_head - tail.size(), " bytes were left out here]\n"));
  if (!tail.empty()) put(tail);
  file_.reset();
}

}  // namespace cbuild::solver::ops
