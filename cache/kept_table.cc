// SPDX-License-Identifier: Apache-2.0
#include "cache/kept_table.h"

#include <vector>

#include "base/error.h"
#include "cache/codec.h"
#include "oci/layer/table_codec.h"

namespace cbuild::cache {

std::string encode_kept_table(const KeptTable& kept) {
  std::vector<std::string> texts{oci::layer::encode_table(kept.table)};
  for (const auto& [digest, content] : kept.files) texts.push_back(content);
  return encode_texts(texts);
}

// The files need no digests of their own: one that no node of the table has is never asked for.
KeptTable decode_kept_table(std::string_view bytes) {
  std::vector<std::string> texts = decode_texts(bytes);
  if (texts.empty()) throw Error(ErrorCode::corrupt, "a table of contents without content");
  KeptTable kept{oci::layer::decode_table(texts[0]), {}};
  for (std::size_t i = 1; i < texts.size(); ++i) {
    const Digest digest = sha256(texts[i]);
    kept.files.emplace(digest, std::move(texts[i]));
  }
  return kept;
}

}  // namespace cbuild::cache
