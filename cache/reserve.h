// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "cache/store.h"

/// A little space and a few inodes that are set aside in a store: removing something needs both, for the index's log
/// and for locks, and a full disk has neither.
namespace cbuild::cache {

/// reserve/0 to reserve/7.
inline constexpr unsigned kReserveFiles = 8;
inline constexpr std::uint64_t kReserveFileBytes = 128u << 10;

/// Sets the missing part of it aside, as far as that leaves `spare_bytes` of the disk free. Never fails.
void keep_reserve(int root_fd, std::uint64_t spare_bytes) noexcept;
/// Gives it up if the disk has no space or no inodes left to work with.
void use_reserve(int root_fd) noexcept;

/// Runs `work`; false if it ended for lack of space, which is not thrown.
bool unless_full(const std::function<void()>& work);

/// Does `work`, which may have to be done twice: on a full disk once more, with the room of all that can be found out
/// again and of the index's log.
void with_room(Store::Impl& store, const std::function<void()>& work);

}  // namespace cbuild::cache
