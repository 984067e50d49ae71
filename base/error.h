// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild {

/// The kind of a failure; decides the exit code and whether a retry makes sense.
enum class ErrorCode {
  usage,            ///< the command line is wrong
  input,            ///< a file the user wrote is wrong (a Dockerfile, an ignore file, a config file)
  not_found,        ///< something named does not exist
  denied,           ///< permission, authentication or entitlement missing
  unsupported,      ///< this machine or this version cannot do it
  io,               ///< a system call failed
  no_space,         ///< ENOSPC or EDQUOT
  network,          ///< a remote side could not be reached or answered nonsense; may be transient
  corrupt,          ///< data does not match its digest or its format
  missing_content,  ///< the content behind a result is gone and was forgotten: the same work, done again, makes it
  step_failed,      ///< a build step ran and failed
  cancelled,        ///< the user or another failure stopped this work
  internal,         ///< a broken invariant
};

/// A failure as an exception. Layers add context on the way up with add_context(); what() reads "outer: inner:
/// message".
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message);

  ErrorCode code() const noexcept { return code_; }
  /// The innermost message without context.
  const std::string& message() const noexcept { return message_; }
  /// errno at the time of a failed system call; 0 where there was none.
  int sys_errno() const noexcept { return errno_; }
  /// One more step the user can take; may be empty.
  const std::string& hint() const noexcept { return hint_; }

  Error& with_errno(int err) noexcept {
    errno_ = err;
    return *this;
  }
  Error& with_hint(std::string hint) {
    hint_ = std::move(hint);
    return *this;
  }
  /// Prepends an outer frame such as "step 4: RUN make".
  Error& add_context(std::string_view frame);

  const char* what() const noexcept override { return text_.c_str(); }

 private:
  ErrorCode code_;
  int errno_ = 0;
  std::string message_, hint_, text_;
};

/// Throws Error for a failed system call: "<what>: <strerror(err)>"; code no_space for ENOSPC and EDQUOT, denied for
/// EACCES and EPERM, not_found for ENOENT, io otherwise. `err` is captured by the caller before anything else runs.
[[noreturn]] void throw_errno(int err, std::string_view what);

/// Short name of a code for logs and JSON ("no_space").
std::string_view to_string(ErrorCode code);

/// Ends the process with the condition and place; for invariants that only a bug can break.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace cbuild

#define CBUILD_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::cbuild::check_failed(#condition, __FILE__, __LINE__))
