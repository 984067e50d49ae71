// SPDX-License-Identifier: Apache-2.0
#include "exporter/transfers.h"

#include "base/process/threads.h"

namespace cbuild::exporter {
namespace {

constexpr std::size_t kAtOnce = 4;

}  // namespace

void run_transfers(std::size_t count, const std::function<void(std::size_t)>& transfer) {
  run_at_once(count, kAtOnce, transfer);
}

}  // namespace cbuild::exporter
