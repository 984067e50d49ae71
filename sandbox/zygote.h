// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <memory>

#include "base/fd.h"
#include "sandbox/packet_socket.h"
#include "sandbox/runner.h"
#include "sandbox/wire.h"

namespace cbuild::sandbox {

/// The builder's end of the zygote.
struct Zygote::Impl {
  std::shared_ptr<PacketSocket> socket;  ///< shared with the runner, which may outlive the zygote
  pid_t pid = -1;
  UniqueFd pidfd;
};

/// The process itself: clones a child per request, reports its end. Returns when the other side of the socket
/// is gone and everything it started is dead. `open_files` is the limit that steps get.
void run_zygote(PacketSocket socket, const rlimit& open_files);

/// As make_namespace_runner(Zygote&, Mode), with the choices that otherwise follow from the kernel made by the caller;
/// so that the paths for older kernels are tested on newer ones.
std::unique_ptr<Runner> make_namespace_runner(Zygote& zygote, const wire::Configure& configuration);

}  // namespace cbuild::sandbox
