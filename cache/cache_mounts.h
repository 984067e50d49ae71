// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cache/store.h"

namespace cbuild::cache {

/// Removes what the cache mount that Store::try_cache_mount() would give holds, so that its next use starts afresh. False if it is in use:
/// then it stays as it is.
bool empty_cache_mount(Store& store, const std::string& id, const Digest& base, int sharing_mode, unsigned instance);

}  // namespace cbuild::cache
