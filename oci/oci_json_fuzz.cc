// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "oci/reference.h"

// A document that parses is written in a form that parses to the same value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  using namespace cbuild::oci;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const ImageConfig config = parse_image_config(text);
    CBUILD_CHECK(to_json(parse_image_config(to_json(config))) == to_json(config));
  } catch (const Error&) {
  }
  try {
    const auto document = parse_manifest(text);
    const std::string json = std::visit([](const auto& d) { return to_json(d); }, document);
    CBUILD_CHECK(parse_manifest(json) == document);
  } catch (const Error&) {
  }
  try {
    const Reference reference = parse_reference(text);
    CBUILD_CHECK(parse_reference(reference.str()) == reference);
  } catch (const Error&) {
  }
  return 0;
}
