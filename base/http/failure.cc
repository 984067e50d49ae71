// SPDX-License-Identifier: Apache-2.0
#include "base/http/failure.h"

#include "base/text.h"

namespace cbuild::http {

namespace {

constexpr std::size_t kMostText = 400;

std::string_view reason_phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

std::string shorten(std::string_view text) {
  text = trim(text);
  return text.size() <= kMostText ? std::string(text) : std::string(text.substr(0, kMostText)) + "...";
}

}  // namespace

std::string explain_response(const Response& response, const Secrets& secrets, std::string_view detail) {
  if (response.failure) return secrets.redact(response.failure->text);
  const std::string_view body = trim(response.body);
  if (detail.empty() && !body.empty() && body.front() != '<') detail = body;
  if (detail.empty()) detail = reason_phrase(response.status);
  return cat("HTTP ", response.status, detail.empty() ? "" : " ", secrets.redact(shorten(detail)));
}

}  // namespace cbuild::http
