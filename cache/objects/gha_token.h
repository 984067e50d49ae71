// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::cache {

/// A branch or tag whose cache entries a job of GitHub Actions sees.
struct GhaScope {
  std::string ref;  ///< "refs/heads/main"
  bool writable = false;

  bool operator==(const GhaScope&) const = default;
};

/// The scopes that the token of a job names, in its order. The signature is the service's to check. Throws
/// Error{denied} for text that is not such a token, and for one that is no longer valid at `now_s`.
std::vector<GhaScope> gha_scopes(std::string_view token, std::int64_t now_s);

}  // namespace cbuild::cache
