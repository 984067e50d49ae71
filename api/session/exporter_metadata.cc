// SPDX-License-Identifier: Apache-2.0
#include "api/session/exporter_metadata.h"

#include "api/session/client_call.h"
#include "api/session/header_text.h"
#include "base/text.h"

namespace cbuild::api {

void add_exporter_metadata(ClientCall& call, int exporter_index, const std::map<std::string, std::string>& metadata) {
  call.add_metadata("buildkit-attachable-exporter-id", std::to_string(exporter_index));
  for (const auto& [key, value] : metadata) {
    const std::string header = cat("exporter-md-", to_lower(key));
    if (is_header_key(header) && is_header_value(value)) call.add_metadata(header, value);
  }
}

}  // namespace cbuild::api
