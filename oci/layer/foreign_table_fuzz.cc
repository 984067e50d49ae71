// SPDX-License-Identifier: Apache-2.0
// Reads hostile tables of contents (estargz, zstd:chunked), as a document whose digest is right. The first byte chooses
// the form. What comes out keeps LayerTable's promises, and all of its files can be asked of a blob that is the input.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "oci/layer/foreign_table.h"
#include "oci/layer/table_codec.h"

namespace {

using namespace cbuild;
using namespace cbuild::oci::layer;

void check_reads(const ForeignTable& table, const std::string& blob) {
  std::vector<std::uint32_t> nodes;
  for (const auto& [node, chunks] : table.chunks) nodes.push_back(node);
  const auto ranges = plan_reads(table, nodes);
  if (!ranges) return;
  const auto read = [&](std::uint64_t offset, std::uint64_t size) -> std::optional<std::string> {
    if (offset > blob.size() || size > blob.size() - offset) return std::nullopt;
    return blob.substr(offset, size);
  };
  for (const ForeignRange& range : *ranges) {
    for (const auto& [node, chunk] : range.pieces) {
      CBUILD_CHECK(chunk.blob_offset >= range.offset && chunk.blob_end <= range.offset + range.size);
      CBUILD_CHECK(chunk.file_offset + chunk.size <= table.table.nodes[node].size);
    }
    (void)read_pieces(range, read, [&](std::uint32_t node, std::uint64_t offset, std::string_view bytes) {
      CBUILD_CHECK(offset + bytes.size() <= table.table.nodes.at(node).size);
    });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string document(reinterpret_cast<const char*>(data + 1), size - 1);
  std::optional<ForeignTable> table;
  try {
    table = parse_foreign_table(document, size, (data[0] & 1) != 0);
  } catch (const Error&) {
    return 0;
  }
  CBUILD_CHECK(decode_table(encode_table(table->table)) == table->table);
  check_reads(*table, document);
  return 0;
}
