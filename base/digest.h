// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cbuild {

/// A SHA-256 value. Text form "sha256:<64 lower-case hex>" (OCI image-spec, descriptor.md, "Digests").
/// The default value is all zero and stands for "none".
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  bool empty() const { return *this == Digest{}; }
  /// 64 hex digits without the algorithm.
  std::string hex() const;
  /// "sha256:<hex>".
  std::string str() const;
  /// Accepts exactly the text form; nullopt for anything else, other algorithms and all zeros included.
  static std::optional<Digest> parse(std::string_view text);
  /// Accepts exactly 64 lower-case hex digits.
  static std::optional<Digest> from_hex(std::string_view hex);
};

/// Streaming SHA-256. Movable, not thread-safe; finish() may be called once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(std::span<const std::byte> data);
  Sha256& update(std::string_view data);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of `data` in one call.
Digest sha256(std::string_view data);

/// Digest of all bytes from the descriptor's current offset to its end. Throws Error{io}.
Digest sha256_fd(int fd);

/// Builds canonical byte strings for keys: every field is length- or width-delimited, so that two different field
/// lists never give the same bytes. Integers are little-endian 64 bit.
class CanonicalWriter {
 public:
  CanonicalWriter& tag(std::uint8_t tag);
  CanonicalWriter& number(std::uint64_t value);
  CanonicalWriter& text(std::string_view value);
  CanonicalWriter& digest(const Digest& value);
  const std::string& bytes() const { return bytes_; }
  Digest hash() const { return sha256(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace cbuild

template <>
struct std::hash<cbuild::Digest> {
  std::size_t operator()(const cbuild::Digest& d) const noexcept;
};
