// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "oci/layer/layer_table.h"

namespace cbuild::oci::layer {

/// The bytes of a table, a function of it alone: a version, the diff id, numbers in as few bytes as they need, a digest
/// of all of it at the end.
std::string encode_table(const LayerTable& table);

/// The reverse, for bytes that anybody may have written: the result keeps every promise of LayerTable's fields. Throws
/// Error{corrupt} for other versions, other digests, and for bytes that are not a tree. Whether the table is that of a
/// layer is not looked at: whoever did not make it compares `diff_id`, and believes only who it believes the layer.
LayerTable decode_table(std::string_view bytes);

}  // namespace cbuild::oci::layer
