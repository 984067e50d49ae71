// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request/request.h"

namespace cbuild::api {

using Attributes = std::map<std::string, std::string>;

/// The value of an attribute; empty where it is not given.
std::string attribute(const Attributes& attributes, const std::string& name);
/// The attributes whose names begin with `prefix`, without it.
Attributes with_prefix(const Attributes& attributes, std::string_view prefix);

/// Reads the attributes of the frontend dockerfile.v0 that say how a build is done, into `request`; its contexts and
/// the Dockerfile are left to the caller. Throws Error{usage} for a value that means nothing.
void read_frontend_options(const Attributes& attributes, engine::BuildRequest& request);

}  // namespace cbuild::api
