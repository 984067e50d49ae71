// SPDX-License-Identifier: Apache-2.0
// type=inline, a row of backend.h: a cache in the configuration of the image that is built. It is found like any other
// manifest of a registry, and is written with the image.
#include "cache/remote/backend.h"

namespace cbuild::cache {
namespace {

void parse_inline(CacheSpec& spec, const CacheFlag& flag) {
  if (flag.use == CacheUse::from) {
    spec.type = kRegistryBackend.name;
    return kRegistryBackend.parse(spec, flag);
  }
  if (spec.all_steps)
    flag.refuse("type=inline holds the image's own layers only", "mode=max needs type=registry or type=local");
  if (!spec.mounts.empty())
    flag.refuse("type=inline cannot hold cache mounts", "mounts= needs type=registry or type=local");
}

}  // namespace

const BackendType kInlineBackend = {
    .name = "inline",
    .parse = parse_inline,
    .open_import = [](const CacheSpec& spec,
                      const BackendServices& services) { return kRegistryBackend.open_import(spec, services); },
    .open_export = nullptr};

}  // namespace cbuild::cache
