// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exporter/outputs.h"

namespace cbuild::exporter {

/// Pushes a manifest that has a subject next to that subject, with its blobs. A registry without referrers gets it into
/// the index under the subject's tag of distribution-spec ("Referrers Tag Schema"); of two such pushes at the same time
/// one may be lost there. Throws Error.
void push_referrer(const BuiltImage& referrer, const oci::Reference& target, ExportContext& context);

}  // namespace cbuild::exporter
