// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace cbuild::api {

/// Content by digest that a client keeps: a local cache, or an image layout. Thread-safe. Errors are those of
/// ClientSession.
class ContentStore {
 public:
  virtual ~ContentStore() = default;
  /// nullopt if it is not there.
  virtual std::optional<std::uint64_t> size(const Digest& digest) = 0;
  /// Gives `sink` the bytes from `offset` on, `size` of them or, with 0, all. Not verified. Error{not_found};
  /// Error{corrupt} if the client sends another number of bytes than `size`.
  virtual void read(const Digest& digest, std::uint64_t offset, std::uint64_t size,
                    const std::function<void(std::string_view)>& sink) = 0;
  /// Puts `size` bytes there; `source` fills a buffer and returns how many, 0 at the end. Nothing is sent if the client
  /// has it. `ref` names the transfer: a broken one of the same name is begun again.
  virtual void write(const std::string& ref, const Digest& digest, std::uint64_t size,
                     const std::function<std::size_t(std::span<std::byte>)>& source) = 0;
};

}  // namespace cbuild::api
