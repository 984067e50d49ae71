// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace google::protobuf {
class Message;
}

namespace cbuild::api {

/// What a message holds that its type does not know, in it or in a message below: "exec.mounts: unknown field 99",
/// "exec.network: unknown value 7". The client would have meant something by it.
std::optional<std::string> find_unknown(const google::protobuf::Message& message);

}  // namespace cbuild::api
