// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace cbuild::exporter {

/// Runs `transfer` for 0 to `count` - 1, a few at once, the calling thread among them. After the first failure nothing
/// new is begun; it is rethrown when all have ended.
void run_transfers(std::size_t count, const std::function<void(std::size_t)>& transfer);

}  // namespace cbuild::exporter
