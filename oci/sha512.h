// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace cbuild::oci {

/// Streaming SHA-512, the other algorithm that the image-spec registers (descriptor.md, "Registered algorithms").
/// Images of others may be named by it; ours never are. Movable, not thread-safe; finish() may be called once.
class Sha512 {
 public:
  Sha512();
  ~Sha512();
  Sha512(Sha512&&) noexcept;
  Sha512& operator=(Sha512&&) noexcept;

  Sha512& update(std::span<const std::byte> data);
  /// "sha512:<128 lower-case hex>".
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of `data` in one call.
std::string sha512(std::string_view data);

/// Whether `text` has exactly the form that Sha512::finish() gives.
bool is_sha512(std::string_view text);

}  // namespace cbuild::oci
