// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace cbuild::cache {

class Store;

/// Metadata of a source outside the store (validators of a URL, the time of a commit), by a key of the
/// caller's. Small texts, which may be forgotten at any time and are never seen half written. Thread-safe, across
/// processes too.
std::optional<std::string> read_source_metadata(Store& store, const Digest& key);
void write_source_metadata(Store& store, const Digest& key, std::string_view text);

}  // namespace cbuild::cache
