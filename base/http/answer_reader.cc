// SPDX-License-Identifier: Apache-2.0
#include "base/http/answer_reader.h"

#include <algorithm>

#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr std::size_t kErrorBody = 64u << 10;     // of an answer that is not a success; the rest is dropped
constexpr std::uint64_t kMostDropped = 1u << 20;  // after that much of the rest the exchange ends
constexpr std::uint64_t kMostHeaders = 1u << 20;

}  // namespace

bool AnswerReader::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMostHeaders) return false;
  line = trim(line);
  if (line.starts_with("HTTP/")) {  // also after an interim answer
    const std::size_t blank = line.find(' ');
    response_.headers.clear();
    response_.status = 0;
    if (blank != std::string_view::npos)
      response_.status = static_cast<int>(parse_int(line.substr(blank + 1, 3)).value_or(0));
    return true;
  }
  if (const std::size_t colon = line.find(':'); colon != std::string_view::npos)
    response_.headers.emplace_back(to_lower(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
  return true;
}

bool AnswerReader::take_body(std::span<const std::byte> data) {
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (response_.ok()) {
    if (request_.sink) {
      request_.sink(response_, data);
      return true;
    }
    too_large_ = response_.body.size() + text.size() > request_.limit;
    if (!too_large_) response_.body += text;
    return !too_large_;
  }
  const std::size_t room = kErrorBody - response_.body.size();
  response_.body += text.substr(0, room);
  discarded_ += text.size() - std::min(room, text.size());
  return !has_enough();
}

std::optional<TransportFailure> AnswerReader::over_limit() const {
  using Kind = TransportFailure::Kind;
  if (too_large_) return TransportFailure{Kind::too_large, cat("answer is larger than ", request_.limit, " bytes")};
  if (header_bytes_ > kMostHeaders)
    return TransportFailure{Kind::too_large, cat("headers are larger than ", kMostHeaders, " bytes")};
  return std::nullopt;
}

bool AnswerReader::has_enough() const { return discarded_ >= kMostDropped; }

}  // namespace cbuild::http
