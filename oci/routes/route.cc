// SPDX-License-Identifier: Apache-2.0
#include "oci/routes/route.h"

namespace cbuild::oci::routes {

std::string Route::name() const {
  return reference.registry == "docker.io" ? reference.name() : host + "/" + reference.repository;
}

std::string api_host(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

Route plain_route(const Reference& reference) {
  Route out;
  out.reference = reference;
  out.host = api_host(reference.registry);
  return out;
}

}  // namespace cbuild::oci::routes
