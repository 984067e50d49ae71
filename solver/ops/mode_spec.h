// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string_view>

namespace cbuild::solver::ops {

/// Maps the mode of an entry to its new one; permission bits only (07777).
using ModeChange = std::function<mode_t(mode_t old_mode, bool directory)>;

/// --chmod: an octal number ("755") or the symbolic form of chmod(1) with umask 0 ("u=rwX,go=rX", "+x", "g=u"). An
/// empty text keeps the mode. Throws Error{input} with BuildKit's text for anything else.
ModeChange parse_mode_change(std::string_view text);

/// Whether `text` is the octal form, which also applies to parents that a copy creates.
bool is_octal_mode(std::string_view text);

}  // namespace cbuild::solver::ops
