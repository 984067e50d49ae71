// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/diagnostic.h"
#include "base/error.h"

namespace cbuild::frontend {

/// Throws DiagnosticError with one error.
[[noreturn]] inline void reject(const Span& span, std::string message, std::string hint = {}) {
  throw DiagnosticError({{Severity::error, span, std::move(message), std::move(hint), {}}});
}

/// Runs `body`; an Error{input} it throws becomes a diagnostic at `span`. Other errors pass.
template <typename Body>
decltype(auto) at(const Span& span, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::input) throw;
    reject(span, e.what(), e.hint());
  }
}

/// Runs `body`; a failure of the outside (a registry, a server, a layout on disk) is reported at `span`, which asked. A
/// full disk, an interrupt and a bug are nobody's line and pass as they are.
template <typename Body>
decltype(auto) asked_at(const Span& span, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& e) {
    const ErrorCode code = e.code();
    const bool passes = code == ErrorCode::cancelled || code == ErrorCode::no_space || code == ErrorCode::internal ||
                        code == ErrorCode::usage;
    if (passes || !span) throw;
    reject(span, e.what(), e.hint());
  }
}

/// Runs `body`; its diagnostics are reported at `span`, with `prefix` in front: for text that stands in another file
/// than the one the user looks at.
template <typename Body>
decltype(auto) relocate_errors(const Span& span, std::string_view prefix, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const DiagnosticError& e) {
    std::vector<Diagnostic> moved = e.diagnostics();
    for (Diagnostic& diagnostic : moved) {
      diagnostic.span = span;
      diagnostic.message.insert(0, prefix);
    }
    throw DiagnosticError(std::move(moved));
  }
}

}  // namespace cbuild::frontend
