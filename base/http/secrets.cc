// SPDX-License-Identifier: Apache-2.0
#include "base/http/secrets.h"

#include "base/text.h"

namespace cbuild::http {

namespace {
constexpr std::size_t kShortest = 4;  // replacing a shorter one would give it away
}

void Secrets::add(std::string_view secret) {
  if (secret.size() < kShortest) return;
  const std::lock_guard lock(mutex_);
  known_.emplace(secret);
}

std::string Secrets::redact(std::string_view text) const {
  std::string out(text);
  const std::lock_guard lock(mutex_);
  for (auto it = known_.rbegin(); it != known_.rend(); ++it) {  // a longer one before its own prefix
    out = replace_all(std::move(out), *it, "***");
    out = replace_all(std::move(out), base64_encode(*it), "***");
  }
  return sanitize_for_terminal(out);
}

}  // namespace cbuild::http
