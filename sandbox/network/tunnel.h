// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

#include "base/cancel.h"
#include "sandbox/network/wire_names.h"

namespace cbuild::sandbox::network {

/// Carries bytes both ways between two connected sockets that do not block, until both have ended, one breaks, nothing
/// moves for ten minutes, or `stop`. What `client` sends waits until its first name is known; `admits` decides then,
/// and a refusal ends it before a byte has gone to `server`.
void carry(int client, int server, const std::function<bool(const WireName&)>& admits, const CancelSource& stop);

}  // namespace cbuild::sandbox::network
