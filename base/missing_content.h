// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "base/error.h"

namespace cbuild {

/// The content behind a result is gone and was forgotten: the same work done again finds a miss there and succeeds. An
/// Error{corrupt} that is told from others by its errno, which stays with it on its way up.
inline Error missing_content(std::string message) {
  Error error(ErrorCode::corrupt, std::move(message));
  error.with_errno(ESTALE);
  return error;
}

inline bool is_missing_content(const Error& error) noexcept {
  return error.code() == ErrorCode::corrupt && error.sys_errno() == ESTALE;
}

}  // namespace cbuild
