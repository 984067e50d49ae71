// SPDX-License-Identifier: Apache-2.0
#include "cache/objects/azure_signature.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/digest.h"
#include "base/hmac.h"
#include "base/http/retry.h"
#include "base/text.h"
#include "cache/objects/aws_signature.h"

namespace cbuild::cache {
namespace {

constexpr char kAzureVersion[] = "2020-12-06";
/// In the order in which their values are signed, each on a line of its own, also without one.
constexpr std::string_view kSignedHeaders[] = {
    "content-encoding",  "content-language", "content-length", "content-md5",         "content-type", "date",
    "if-modified-since", "if-match",         "if-none-match",  "if-unmodified-since", "range"};

std::string azure_hmac(const AzureAccount& account, const std::string& text) {
  const std::string hex = hmac_sha256(account.key, text).hex();
  std::string raw;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    raw += static_cast<char>(parse_int(std::string_view(hex).substr(i, 2), 16).value_or(0));
  return base64_encode(raw);
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' && i + 2 < text.size() ? parse_int(text.substr(i + 1, 2), 16) : std::nullopt;
    out += byte ? static_cast<char>(*byte) : text[i];
    if (byte) i += 2;
  }
  return out;
}

/// "/account/path" and a line for each member of the query.
std::string canonical_resource(const http::Url& url, const AzureAccount& account) {
  std::string out = cat('/', account.name, url.path);
  std::map<std::string, std::string> members;
  if (url.query.size() > 1)
    for (const std::string& member : split(std::string_view(url.query).substr(1), '&')) {
      const std::size_t equals = std::min(member.find('='), member.size());
      members[to_lower(member.substr(0, equals))] =
          decoded(equals < member.size() ? std::string_view(member).substr(equals + 1) : std::string_view());
    }
  for (const auto& [name, value] : members) out += cat('\n', name, ':', value);
  return out;
}

}  // namespace

std::string azure_date(std::int64_t now_s) {
  static constexpr const char* kDays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string text = format_rfc3339(now_s);  // "2026-01-02T03:04:05Z"
  const auto month = static_cast<std::size_t>(parse_int(text.substr(5, 2)).value_or(1) - 1) % 12;
  return cat(kDays[(now_s / 86'400) % 7], ", ", text.substr(8, 2), ' ', kMonths[month], ' ', text.substr(0, 4), ' ',
             text.substr(11, 8), " GMT");
}

void sign_azure(http::Request& request, std::uint64_t body_size, const AzureAccount& account, std::int64_t now_s) {
  request.headers.emplace_back("x-ms-date", azure_date(now_s));
  request.headers.emplace_back("x-ms-version", kAzureVersion);
  std::map<std::string, std::string> headers;
  for (const auto& [name, value] : request.headers) headers[to_lower(name)] = std::string(trim(value));
  if (body_size > 0) headers["content-length"] = std::to_string(body_size);
  std::string text = request.method + "\n";
  for (const std::string_view name : kSignedHeaders) {
    const auto found = headers.find(std::string(name));
    text += cat(found == headers.end() ? std::string() : found->second, '\n');
  }
  for (const auto& [name, value] : headers)
    if (name.starts_with("x-ms-")) text += cat(name, ':', value, '\n');
  text += canonical_resource(request.url, account);
  request.headers.emplace_back("Authorization", cat("SharedKey ", account.name, ':', azure_hmac(account, text)));
}

http::Url presign_azure(http::Url url, const AzureAccount& account, const std::string& container,
                        const std::string& blob, std::int64_t end_s) {
  const std::string end = format_rfc3339(end_s);
  // Permissions, start, end, resource, identifier, addresses, protocols, version, kind, snapshot, encryption scope, and
  // five headers of the answer.
  const std::string text = cat("r\n\n", end, "\n/blob/", account.name, '/', container, '/', blob, "\n\n\n\n",
                               kAzureVersion, "\nb\n\n\n\n\n\n\n");
  url.query = cat("?sv=", kAzureVersion, "&sp=r&sr=b&se=", aws_query_value(end),
                  "&sig=", aws_query_value(azure_hmac(account, text)));
  return url;
}

}  // namespace cbuild::cache
