// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "cache/store.h"

namespace cbuild::cache {

/// Runs `work`; false if it ended because there is no space, which is not thrown.
bool unless_full(const std::function<void()>& work);

/// Does `work`, which may have to be done twice: on a full disk once more, with the room of all that can be found out
/// again and of the index's log.
void with_room(Store::Impl& store, const std::function<void()>& work);

}  // namespace cbuild::cache
