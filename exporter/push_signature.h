// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exporter/outputs.h"

namespace cbuild::exporter {

/// Signs a pushed document (a manifest or an index) with ExportContext::signer, as cosign does: the signature goes
/// under the document's own tag ("sha256-<hex>.sig") next to those that are there, or with `as_referrer` into a
/// manifest that refers to it. A signature of this key that is there already is left alone. Throws Error.
void push_signature(const oci::Descriptor& document, const std::string& name, bool as_referrer, ExportContext& context);

}  // namespace cbuild::exporter
