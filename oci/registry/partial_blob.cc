// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/partial_blob.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::registry {

namespace {

/// First byte of "bytes 5-9/10".
std::optional<std::uint64_t> range_start(std::string_view header) {
  if (!header.starts_with("bytes ")) return std::nullopt;
  header.remove_prefix(6);
  const auto start = parse_int(header.substr(0, header.find('-')));
  return start && *start >= 0 ? std::optional(static_cast<std::uint64_t>(*start)) : std::nullopt;
}

}  // namespace

PartialBlob::PartialBlob(const Descriptor& descriptor, const MakeWriter& make, const Transferred& progress)
    : descriptor_(descriptor), make_(make), progress_(progress) {
  restart();
}

void PartialBlob::restart() {
  writer_ = make_();
  if (!descriptor_.sha512.empty()) sha512_.emplace();
  received_ = 0;
}

std::string PartialBlob::describe_shortage() const {
  return cat("only ", received_, " of ", descriptor_.size, " bytes came");
}

void PartialBlob::begin(const http::Response& head) {
  begun_ = true;
  skip_ = received_;
  if (head.status == 206) {
    const auto start = range_start(head.header("content-range"));
    if (!start || *start > received_) throw BadRange{};
    skip_ = received_ - *start;
    return;
  }
  const auto length = parse_int(head.header("content-length"));
  if (length && static_cast<std::uint64_t>(*length) != descriptor_.size) {
    throw Error(ErrorCode::corrupt,
                cat("the registry has ", *length, " bytes, the descriptor says ", descriptor_.size));
  }
}

void PartialBlob::take(const http::Response& head, std::span<const std::byte> data) {
  if (!begun_) begin(head);
  const std::size_t known = std::min<std::uint64_t>(skip_, data.size());
  skip_ -= known;
  data = data.subspan(known);
  if (data.empty()) return;
  if (data.size() > descriptor_.size - received_)
    throw Error(ErrorCode::corrupt, cat("more than the ", descriptor_.size, " bytes of the descriptor came"));
  writer_->write(data);
  if (sha512_) sha512_->update(data);
  received_ += data.size();
  if (progress_) progress_(received_, descriptor_.size);
}

Digest PartialBlob::commit() {
  if (const std::string found = sha512_ ? sha512_->finish() : ""; found != descriptor_.sha512)
    throw Error(ErrorCode::corrupt, cat("digest is ", found, " instead of ", descriptor_.sha512));
  return writer_->commit(descriptor_.digest, descriptor_.size);
}

}  // namespace cbuild::oci::registry
