// SPDX-License-Identifier: Apache-2.0
#include "engine/missing_content.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::engine {

/// An attempt forgets missing content, so if the same is missing again, nothing can make it.
bool MissingContent::take(const Error& error) {
  constexpr std::size_t kMaxAttempts = 100;
  constexpr std::ptrdiff_t kMaxSame = 3;
  if (error.code() != ErrorCode::missing_content || cancel_.cancelled() || messages_.size() >= kMaxAttempts)
    return false;
  if (std::count(messages_.begin(), messages_.end(), error.message()) >= kMaxSame) return false;
  messages_.push_back(error.message());
  progress_.on_event(RunNote{Severity::warning, cat(error.message(), "; the steps that made it are run")});
  found_ = true;
  return true;
}

}  // namespace cbuild::engine
