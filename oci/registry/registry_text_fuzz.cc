// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/http/retry.h"
#include "base/http/url.h"
#include "oci/registry/challenge.h"
#include "oci/registry/failure.h"

// Everything a registry may send as text: challenges, Locations, Retry-After, error bodies.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  using namespace cbuild::oci::registry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Challenge& challenge : parse_challenges(text)) {
    const auto scope = challenge.params.find("scope");
    if (scope != challenge.params.end()) ScopeSet(scope->second).texts();
  }
  if (const auto url = http::parse_url(text)) CBUILD_CHECK(http::parse_url(url->str()) == url);
  if (const auto url = resolve_url(*http::parse_url("https://r.example/v2/a/b?c"), text)) {
    CBUILD_CHECK(http::parse_url(url->str()) == url);
    url->redacted();
  }
  http::parse_retry_after(text, 0);
  parse_errors(text);
  return 0;
}
