// SPDX-License-Identifier: Apache-2.0
#include "exporter/output_type.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace cbuild::exporter {
namespace {

constexpr std::array kOutputTypes = {&kLocalOutput, &kTarOutput,      &kOciOutput,      &kDockerOutput,
                                     &kImageOutput, &kRegistryOutput, &kCacheOnlyOutput};

}  // namespace

std::span<const OutputTraits* const> output_types() { return kOutputTypes; }

const OutputTraits& traits_of(OutputType type) {
  const auto found = std::find_if(kOutputTypes.begin(), kOutputTypes.end(),
                                  [&](const OutputTraits* traits) { return traits->type == type; });
  CBUILD_CHECK(found != kOutputTypes.end());
  return **found;
}

const OutputTraits* find_output_type(std::string_view name) {
  const auto found = std::find_if(kOutputTypes.begin(), kOutputTypes.end(),
                                  [&](const OutputTraits* traits) { return traits->name == name; });
  return found == kOutputTypes.end() ? nullptr : *found;
}

}  // namespace cbuild::exporter
