// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifdef CBUILD_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

/// What ThreadSanitizer has to be told because a library it does not instrument (libtbb) does it: one thread hands
/// memory to another. What was done before give(p) is then known to be before what follows take(p). Nothing in other
/// builds.
namespace cbuild::tsan {

inline void give([[maybe_unused]] void* address) {
#ifdef CBUILD_TSAN
  __tsan_release(address);
#endif
}

inline void take([[maybe_unused]] void* address) {
#ifdef CBUILD_TSAN
  __tsan_acquire(address);
#endif
}

}  // namespace cbuild::tsan
