// SPDX-License-Identifier: Apache-2.0
// Any document is either refused with Error{corrupt} or gives texts that are together no longer than itself.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "cache/objects/xml_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  try {
    std::size_t texts = 0;
    for (const auto& [path, text] : cache::xml_texts({reinterpret_cast<const char*>(data), size})) {
      CBUILD_CHECK(!path.empty());
      texts += text.size();
    }
    CBUILD_CHECK(texts <= size);
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::corrupt);
  }
  return 0;
}
