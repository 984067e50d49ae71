// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/http/http.h"

namespace cbuild::http {

/// Puts a Response together as its bytes come, and keeps it within its limits. `request` must outlive it.
class AnswerReader {
 public:
  explicit AnswerReader(const Request& request) : request_(request) {}

  /// One line of the headers, interim answers included. False when there are too many.
  bool take_header(std::string_view line);
  /// A piece of the body. False when no more of it is wanted. Throws what the request's sink throws.
  bool take_body(std::span<const std::byte> data);

  /// True from the status line of the final answer on.
  bool is_final() const { return response_.status >= 200; }
  /// Why the answer was not read to its end, if a limit is the reason.
  std::optional<TransportFailure> over_limit() const;
  /// True if what came of an answer without success is enough, although there is more.
  bool has_enough() const;
  Response& response() { return response_; }

 private:
  const Request& request_;
  Response response_;
  std::uint64_t header_bytes_ = 0, discarded_ = 0;
  bool too_large_ = false;
};

}  // namespace cbuild::http
