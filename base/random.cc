// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <sys/random.h>

#include "base/error.h"

namespace cbuild {

Digest random_digest() {
  Digest digest;
  // Never short below 256 bytes once the pool is initialised (getrandom(2)).
  CBUILD_CHECK(::getrandom(digest.bytes.data(), digest.bytes.size(), 0) == static_cast<ssize_t>(digest.bytes.size()));
  return digest;
}

std::string random_hex() { return random_digest().hex().substr(0, 16); }

}  // namespace cbuild
