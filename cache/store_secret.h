// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cache/store.h"

namespace cbuild::cache {

/// 256 random bits (as hex) that are this store's alone, made on first use and kept in STORE/secret-key (0600): the key
/// of keyed hashes. Never leaves the machine.
std::string secret_key(Store& store);

}  // namespace cbuild::cache
