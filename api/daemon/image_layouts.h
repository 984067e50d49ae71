// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "api/session/content_store.h"
#include "base/digest.h"

namespace cbuild::api {

/// Makes an image layout in the empty directory `path` of what `top` reaches in a client's content store: an image, an
/// index, or a cache. Each blob is compared with its digest. Throws Error.
void fetch_layout(ContentStore& from, const Digest& top, const std::string& path);

/// Puts all blobs of the layout `path` into a client's content store; the client writes the index itself. Throws Error.
void send_layout(const std::string& path, ContentStore& to);

}  // namespace cbuild::api
