// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/fd.h"
#include "sandbox/setup.h"

namespace cbuild::sandbox {

/// The features of this machine, found out by trying and by reading; some 0.1 ms.
setup::HostTraits detect_host_traits();

/// How many loop devices exist, with a few free ones, as an insecure step of BuildKit gets them.
int count_loop_devices();

/// The nearest directory that holds both an upper and a work directory, and their names in it. They have to
/// come from one mount, so where they must be bound again they are bound together. Throws Error if the names
/// do not lead back to them.
struct LayerBase {
  UniqueFd fd;
  std::string upper_name, work_name;
};
LayerBase find_layer_base(int upper_fd, int work_fd);

}  // namespace cbuild::sandbox
