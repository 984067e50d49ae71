// SPDX-License-Identifier: Apache-2.0
// Any document is either refused with Error{corrupt} or {unsupported}, or gives an index whose places are in
// range, that survives being written and read again, and that can be merged.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "cache/remote/remote_index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  using namespace cbuild::cache;
  RemoteIndex index;
  try {
    index = parse_remote_index({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported);
    return 0;
  }
  for (std::size_t i = 0; i < index.chains.size(); ++i) {
    CBUILD_CHECK(index.chains[i].parent < static_cast<std::int64_t>(i));
    CBUILD_CHECK(index.chains[i].layer < index.layers.size());
  }
  const std::string text = to_json(index);
  CBUILD_CHECK(to_json(parse_remote_index(text)) == text);
  RemoteIndexBuilder builder;
  builder.merge(index, {});
  CBUILD_CHECK(!to_json(parse_remote_index(to_json(builder.take()))).empty());
  return 0;
}
