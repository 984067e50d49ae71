// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "oci/registry/challenge.h"
#include "oci/registry/failure.h"
#include "oci/registry/retry.h"
#include "oci/registry/url.h"

// Everything a registry may send as text: challenges, Locations, Retry-After, error bodies.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild::oci::registry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Challenge& challenge : parse_challenges(text)) {
    const auto scope = challenge.params.find("scope");
    if (scope != challenge.params.end()) ScopeSet(scope->second).texts();
  }
  if (const auto url = parse_url(text)) CBUILD_CHECK(parse_url(url->str()) == url);
  if (const auto url = resolve_url(*parse_url("https://r.example/v2/a/b?c"), text)) {
    CBUILD_CHECK(parse_url(url->str()) == url);
    url->redacted();
  }
  parse_retry_after(text, 0);
  parse_errors(text);
  return 0;
}
