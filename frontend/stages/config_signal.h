// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cbuild::frontend {

/// Whether STOPSIGNAL accepts `text`: a number other than 0, or a Linux signal name in any case, with or
/// without "SIG".
bool is_stop_signal(std::string_view text);

}  // namespace cbuild::frontend
