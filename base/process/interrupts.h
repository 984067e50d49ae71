// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/cancel.h"

namespace cbuild {

/// SIGINT, SIGTERM and SIGHUP cancel `source`; a second one ends the process at once. SIGIO, which a connection may
/// send that another program holds open, cancels only. Restores the old handlers at the end.
class Interrupts {
 public:
  explicit Interrupts(CancelSource& source);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
};

}  // namespace cbuild
