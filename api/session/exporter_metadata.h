// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace cbuild::api {

class ClientCall;

/// Says which output of the client a call is for, and the result of the build. Keys and values that no header can have
/// are left out: they are for the client to show, and it gets them once more with the end of the build.
void add_exporter_metadata(ClientCall& call, int exporter_index, const std::map<std::string, std::string>& metadata);

}  // namespace cbuild::api
