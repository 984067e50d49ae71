// SPDX-License-Identifier: Apache-2.0
#include "exporter/push_signature.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "exporter/push_referrer.h"
#include "supply/sign/signature.h"

namespace cbuild::exporter {
namespace {

/// The signatures under a tag so far.
oci::Manifest earlier_signatures(const oci::Reference& tagged, ExportContext& context) {
  try {
    const oci::registry::FetchedManifest found = context.registry->manifest(tagged);
    auto document = oci::parse_manifest(found.body, found.media_type);
    if (auto* manifest = std::get_if<oci::Manifest>(&document)) return std::move(*manifest);
    throw Error(ErrorCode::corrupt, cat(tagged.familiar(), " is an index and not a manifest of signatures"));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
  }
  return {};
}

bool has_signature(const oci::Manifest& manifest, const std::string& payload, const supply::SigningKey& key) {
  const std::vector<supply::SignatureLayer> found = supply::signatures_of(manifest);
  return std::any_of(found.begin(), found.end(), [&](const supply::SignatureLayer& layer) {
    return layer.payload.digest == sha256(payload) && key.made(payload, layer.signature);
  });
}

void push_parts(const supply::SignatureManifest& signature, const oci::Reference& target, ExportContext& context) {
  for (const oci::Descriptor& blob : {signature.content.layers.back(), signature.content.config})
    context.registry->push_blob(target, blob, context.store.blobs(), std::nullopt);
}

}  // namespace

void push_signature(const oci::Descriptor& document, const std::string& name, bool as_referrer,
                    ExportContext& context) {
  CBUILD_CHECK(context.signer != nullptr);
  oci::Reference target = oci::parse_reference(name);
  target.digest.reset();
  const supply::SignedImage image{supply::signed_name(target), document.digest};
  try {
    if (as_referrer) {
      const auto signature = put_signature(context.store.blobs(), image, *context.signer, {}, document);
      BuiltImage referrer;
      referrer.content = signature.content;
      referrer.manifest_json = signature.json;
      referrer.manifest = oci::put_blob(context.store.blobs(), signature.json, signature.content.media_type);
      return push_referrer(referrer, target, context);
    }
    target.tag = supply::signature_tag(document.digest);
    const oci::Manifest earlier = earlier_signatures(target, context);
    if (has_signature(earlier, supply::to_payload(image), *context.signer)) return;
    const auto signature = put_signature(context.store.blobs(), image, *context.signer, earlier, std::nullopt);
    push_parts(signature, target, context);
    context.registry->push_manifest(target, signature.content.media_type, signature.json);
  } catch (Error& error) {
    error.add_context(cat("sign ", name));
    throw;
  }
}

}  // namespace cbuild::exporter
