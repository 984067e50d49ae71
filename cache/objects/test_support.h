// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/blob_writer.h"
#include "base/digest.h"

/// For the tests of object stores.
namespace cbuild::cache {

/// Keeps in a string what is written to it.
class KeptText final : public BlobWriter {
 public:
  explicit KeptText(std::string& out) : out_(out) { out_.clear(); }
  void write(std::span<const std::byte> data) override {
    out_.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  Digest commit(const Digest&, std::optional<std::uint64_t>) override { return sha256(out_); }

 private:
  std::string& out_;
};

}  // namespace cbuild::cache
