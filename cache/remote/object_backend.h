// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cache/objects/object_store.h"
#include "cache/remote/backend.h"

namespace cbuild::cache {

/// The names of a cache's objects, and how it is written.
struct ObjectNames {
  std::string shown;                         ///< for messages: "s3://bucket/prefix"
  std::string locator;                       ///< different for each store and prefix; without secrets
  std::string blobs, manifests;              ///< prefixes
  std::vector<std::string> names;            ///< of the cache: all are written, the first is read
  std::int64_t touch_refresh_s = 0;          ///< a blob that is there and older is renewed
  bool renews_manifest = true;               ///< an unchanged manifest is written again
  bool collects = false;                     ///< all that name blobs of this prefix are below `manifests`
  std::function<std::int64_t()> now_s = {};  ///< seconds since 1970; unset: the machine's clock
};

/// A cache in an object store: blobs by their digest, and the manifest under each name. An index that somebody else has
/// replaced since it was read is not written over.
std::unique_ptr<CacheBackend> object_backend(std::unique_ptr<ObjectStore> objects, ObjectNames names, Store& store);

}  // namespace cbuild::cache
