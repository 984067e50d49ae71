// SPDX-License-Identifier: Apache-2.0
#include "cache/objects/azure_upload.h"

#include <algorithm>

#include "base/process/threads.h"
#include "base/text.h"
#include "cache/objects/aws_signature.h"

namespace cbuild::cache {
namespace {

constexpr std::uint64_t kMostBlocks = 50'000;

std::string block_id(std::size_t number) {
  const std::string digits = std::to_string(number);
  return base64_encode(std::string(8 - digits.size(), '0') + digits);
}

}  // namespace

void put_azure_blob(const ObjectStore::Content& content, std::uint64_t part_bytes, unsigned parallel,
                    const std::function<void(const AzurePut&)>& send) {
  const std::uint64_t part = std::max(part_bytes, content.size / kMostBlocks + 1);
  if (content.size <= part)
    return send({.headers = {{"x-ms-blob-type", "BlockBlob"}}, .file = content.file, .size = content.size});
  const auto count = static_cast<std::size_t>((content.size + part - 1) / part);
  run_at_once(count, std::max(1u, parallel), [&](std::size_t i) {
    send({.query = cat("comp=block&blockid=", aws_query_value(block_id(i))),
          .file = content.file,
          .offset = i * part,
          .size = std::min(part, content.size - i * part)});
  });
  std::string list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
  for (std::size_t i = 0; i < count; ++i) list += cat("<Latest>", block_id(i), "</Latest>");
  send({.query = "comp=blocklist", .body = list + "</BlockList>"});
}

}  // namespace cbuild::cache
