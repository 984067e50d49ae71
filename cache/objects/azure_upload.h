// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "base/http/http.h"
#include "cache/objects/object_store.h"

namespace cbuild::cache {

/// One PUT of an upload to a blob's URL, without a signature.
struct AzurePut {
  std::string query = {};  ///< behind that of the URL, without '?'
  http::HeaderList headers = {};
  std::string body = {};
  int file = -1;  ///< in place of `body`
  std::uint64_t offset = 0, size = 0;
};

/// Writes a block blob: at once, or in blocks of `part` bytes (more where they would be too many), `parallel` at a
/// time.
void put_azure_blob(const ObjectStore::Content& content, std::uint64_t part, unsigned parallel,
                    const std::function<void(const AzurePut&)>& send);

}  // namespace cbuild::cache
