// SPDX-License-Identifier: Apache-2.0
// A request in canonical form (method, path, sorted query, headers, digest of the body), digested, and signed with a
// key that is made from the secret for one day, region and service. The same bytes are what the server makes of the
// request.
#include "cache/objects/aws_signature.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/hmac.h"
#include "base/text.h"

namespace cbuild::cache {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256", kUnsigned = "UNSIGNED-PAYLOAD";

std::string raw_hmac(std::string_view key, std::string_view data) {
  const Digest digest = hmac_sha256(key, data);
  std::string out;
  const std::string hex = digest.hex();
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(parse_int(std::string_view(hex).substr(i, 2), 16).value_or(0));
  return out;
}

std::string encode(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

/// "20260102T030405Z".
std::string stamp(std::int64_t now_s) {
  std::string out = format_rfc3339(now_s);
  std::erase_if(out, [](char c) { return c == '-' || c == ':'; });
  return out;
}

std::string scope_text(const AwsScope& scope, const std::string& time) {
  return cat(time.substr(0, 8), '/', scope.region, '/', scope.service, "/aws4_request");
}

/// Members sorted; one without "=" gets it.
std::string canonical_query(const std::string& query) {
  if (query.size() < 2) return {};
  std::vector<std::string> members = split(std::string_view(query).substr(1), '&');
  for (std::string& member : members)
    if (member.find('=') == std::string::npos) member += '=';
  std::sort(members.begin(), members.end());
  return join(members, "&");
}

struct CanonicalHeaders {
  std::string lines, names;
};

CanonicalHeaders canonical_headers(const http::Request& request) {
  std::vector<std::pair<std::string, std::string>> all = {{"host", request.url.authority()}};
  for (const auto& [name, value] : request.headers) all.emplace_back(to_lower(name), std::string(trim(value)));
  std::sort(all.begin(), all.end());
  CanonicalHeaders out;
  for (const auto& [name, value] : all) {
    out.lines += cat(name, ':', value, '\n');
    out.names += cat(out.names.empty() ? "" : ";", name);
  }
  return out;
}

std::string signature(const http::Request& request, const CanonicalHeaders& headers, std::string_view payload,
                      const AwsKeys& keys, const AwsScope& scope, const std::string& time) {
  const std::string canonical = cat(request.method, '\n', request.url.path, '\n', canonical_query(request.url.query),
                                    '\n', headers.lines, '\n', headers.names, '\n', payload);
  const std::string text = cat(kAlgorithm, '\n', time, '\n', scope_text(scope, time), '\n', sha256(canonical).hex());
  std::string key = raw_hmac("AWS4" + keys.secret, time.substr(0, 8));
  key = raw_hmac(key, scope.region);
  key = raw_hmac(key, scope.service);
  key = raw_hmac(key, "aws4_request");
  return hmac_sha256(key, text).hex();
}

}  // namespace

std::string aws_path(std::string_view name) { return encode(name, true); }
std::string aws_query_value(std::string_view value) { return encode(value, false); }

void sign_aws(http::Request& request, const std::string& payload, const AwsKeys& keys, const AwsScope& scope,
              std::int64_t now_s) {
  const std::string time = stamp(now_s);
  request.headers.emplace_back("x-amz-content-sha256", payload);
  request.headers.emplace_back("x-amz-date", time);
  if (!keys.session_token.empty()) request.headers.emplace_back("x-amz-security-token", keys.session_token);
  const CanonicalHeaders headers = canonical_headers(request);
  request.headers.emplace_back(
      "Authorization", cat(kAlgorithm, " Credential=", keys.id, '/', scope_text(scope, time), ", SignedHeaders=",
                           headers.names, ", Signature=", signature(request, headers, payload, keys, scope, time)));
}

http::Url presign_aws(http::Url url, const AwsKeys& keys, const AwsScope& scope, std::int64_t now_s,
                      std::int64_t lifetime_s) {
  const std::string time = stamp(now_s);
  const auto add = [&](std::string_view name, std::string_view value) {
    url.query += cat(url.query.empty() ? '?' : '&', name, '=', aws_query_value(value));
  };
  add("X-Amz-Algorithm", kAlgorithm);
  add("X-Amz-Credential", cat(keys.id, '/', scope_text(scope, time)));
  add("X-Amz-Date", time);
  add("X-Amz-Expires", std::to_string(lifetime_s));
  if (!keys.session_token.empty()) add("X-Amz-Security-Token", keys.session_token);
  add("X-Amz-SignedHeaders", "host");
  http::Request request;
  request.url = url;
  add("X-Amz-Signature", signature(request, canonical_headers(request), kUnsigned, keys, scope, time));
  return url;
}

}  // namespace cbuild::cache
