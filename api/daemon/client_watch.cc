// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/client_watch.h"

#include <utility>

namespace cbuild::api {

ClientWatch::ClientWatch(std::function<bool()> gone, CancelSource& cancel)
    : thread_([this, gone = std::move(gone), &cancel] {
        std::unique_lock lock(mutex_);
        while (!done_) {
          if (gone()) cancel.cancel();
          changed_.wait_for(lock, std::chrono::milliseconds(50));
        }
      }) {}

ClientWatch::~ClientWatch() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

}  // namespace cbuild::api
