// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"

namespace cbuild::api {

/// A socket that listens, and what it is called in messages.
struct Listener {
  UniqueFd fd;
  std::string name;       ///< "unix:///run/cbuild/cbuildd.sock", "tcp://127.0.0.1:1234"
  bool is_local = false;  ///< a unix socket: who can open it may use it
  std::string path = {};  ///< of a unix socket that was made here, to be removed at the end
};

/// "unix:///PATH" or "tcp://HOST:PORT" (HOST an address; IPv6 in brackets). A socket file that nobody listens on is
/// replaced; its mode is 0660. Throws Error{usage} for another address, Error where nobody can listen.
Listener listen_on(const std::string& address);
/// The sockets that systemd has opened for this process (sd_listen_fds(3)), by LISTEN_PID and LISTEN_FDS.
std::vector<Listener> inherited_listeners();

}  // namespace cbuild::api
