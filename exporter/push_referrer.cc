// SPDX-License-Identifier: Apache-2.0
#include "exporter/push_referrer.h"

#include "base/error.h"
#include "oci/registry/client.h"

namespace cbuild::exporter {

void push_referrer(const BuiltImage& referrer, const oci::Reference& target, ExportContext& context) {
  CBUILD_CHECK(referrer.content.subject.has_value());
  for (const oci::Descriptor& blob : referrer.content.layers)
    context.registry->push_blob(target, blob, context.store.blobs(), std::nullopt);
  context.registry->push_blob(target, referrer.content.config, context.store.blobs(), std::nullopt);
  context.registry->push_referrer(target, referrer.manifest.media_type, referrer.manifest_json);
}

}  // namespace cbuild::exporter
