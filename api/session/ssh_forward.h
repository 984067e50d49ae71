// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cbuild::api {

/// A unix socket in a directory of its own (mode 0700); each connection is one to an agent of the client. The
/// destructor ends the connections and removes the directory.
class SshForward {
 public:
  virtual ~SshForward() = default;
  /// Absolute, short enough for an address of a socket.
  virtual const std::string& socket_path() const = 0;
};

}  // namespace cbuild::api
