// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/digest.h"

namespace cbuild {

/// Receives one blob. Nothing is visible under its digest before commit(); destruction without commit leaves
/// nothing.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual void write(std::span<const std::byte> data) = 0;
  /// Publishes. Throws Error{corrupt} when digest or size differ from the expected ones (empty digest / no
  /// size: not checked). Returns the digest of what was written.
  virtual Digest commit(const Digest& expected = {}, std::optional<std::uint64_t> expected_size = {}) = 0;
};

}  // namespace cbuild
