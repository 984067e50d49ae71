// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <thread>

namespace cbuild {

/// A new thread, or nothing where a limit leaves no room for one and for some that have to be there: for work that
/// fewer threads can do as well. `work` must not throw.
std::optional<std::jthread> try_start_thread(std::function<void()> work);

/// A new thread for work that nothing goes on without. Throws Error with EAGAIN, which limit_hint() explains.
std::jthread start_thread(std::function<void()> work);

/// Calls `work` for 0 to `count` - 1, at most `at_once` calls at a time, the calling thread among them, and fewer where
/// a limit leaves no room for more threads. After the first exception nothing new is begun; it is rethrown when all
/// have ended.
void run_at_once(std::size_t count, std::size_t at_once, const std::function<void(std::size_t)>& work);

/// Whether this process can have so many threads more just now. Tried by starting them where a limit is near.
bool has_room_for_threads(unsigned wanted);

}  // namespace cbuild
