// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "api/daemon/engine_slots.h"
#include "api/daemon/listen.h"
#include "base/cancel.h"

namespace cbuild::api {

/// Mutual TLS for sockets of TCP: PEM files.
struct TlsFiles {
  std::string certificate, key, authority;  ///< all or none; authority: whose clients are let in
};

struct ServerSettings {
  std::vector<Listener> listeners;
  TlsFiles tls;
  std::vector<std::string> entitlements;  ///< that clients may ask for
  std::chrono::seconds idle{0};           ///< ends after so long without a connection; 0: never
};

/// Answers BuildKit's API until `stop` or idleness. Builds that run then are cancelled. Throws Error for files of TLS
/// that cannot be used.
void serve(EngineSlots& slots, const ServerSettings& settings, const CancelSource& stop);

}  // namespace cbuild::api
