// SPDX-License-Identifier: Apache-2.0
#include "base/cancel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace cbuild {

CancelSource::CancelSource() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw_errno(errno, "eventfd");
}

void CancelSource::cancel() noexcept {
  if (flag_.exchange(true, std::memory_order_acq_rel)) return;
  const int saved = errno;
  const std::uint64_t one = 1;
  // A fresh eventfd always takes the value 1; only EINTR can come between.
  while (::write(event_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
  errno = saved;
}

void CancelSource::check() const {
  if (cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
}

}  // namespace cbuild
