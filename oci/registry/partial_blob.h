// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/blob_writer.h"
#include "base/http/http.h"
#include "oci/descriptor.h"
#include "oci/registry/blob_fetch.h"
#include "oci/sha512.h"

namespace cbuild::oci::registry {

/// Leaves the sink when an answer does not continue where the blob is.
struct BadRange {};

/// The part of a blob that the answers so far have brought. The writer has hashed what it got, so the next answer may
/// be the rest only, and of one that begins again the known part is passed over.
class PartialBlob {
 public:
  /// All of them must outlive it.
  PartialBlob(const Descriptor& descriptor, const MakeWriter& make, const Transferred& progress);

  void restart();
  std::uint64_t received() const { return received_; }
  bool is_complete() const { return received_ == descriptor_.size; }
  /// "only 5 of 10 bytes came".
  std::string describe_shortage() const;

  /// Another answer is asked for.
  void begin_answer() { begun_ = false; }
  /// Bytes of an answer with success. Throws BadRange, or Error{corrupt} where the descriptor says otherwise.
  void take(const http::Response& head, std::span<const std::byte> data);
  /// The digest under which it is stored. Error{corrupt} if it is not the blob of the descriptor.
  Digest commit();

 private:
  void begin(const http::Response& head);

  const Descriptor& descriptor_;
  const MakeWriter& make_;
  const Transferred& progress_;
  std::unique_ptr<BlobWriter> writer_;
  std::optional<Sha512> sha512_;
  std::uint64_t received_ = 0;
  std::uint64_t skip_ = 0;  ///< bytes of the running answer that are known already
  bool begun_ = false;      ///< the running answer has brought bytes
};

}  // namespace cbuild::oci::registry
