// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "oci/layer/layer_table.h"

namespace cbuild::cache {

/// The table of a layer, and the bytes of a few small files of it that readers of metadata want too.
struct KeptTable {
  oci::layer::LayerTable table;
  std::map<Digest, std::string> files;  ///< by TableNode::content

  bool operator==(const KeptTable&) const = default;
};

using SharedTable = std::shared_ptr<const KeptTable>;

std::string encode_kept_table(const KeptTable& kept);
/// The reverse, for bytes that anybody may have written (oci/layer/table_codec.h). Throws Error{corrupt}.
KeptTable decode_kept_table(std::string_view bytes);

}  // namespace cbuild::cache
