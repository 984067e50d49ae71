// SPDX-License-Identifier: Apache-2.0
#include "cache/objects/gha_token.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cache {
namespace {

using TokenJson = nlohmann::json;

constexpr unsigned kMayWrite = 2;

[[noreturn]] void refuse_token(const char* why) {
  throw Error(ErrorCode::denied, cat("the token of GitHub Actions ", why));
}

/// The claims of a JSON web token (RFC 7519).
TokenJson claims_of(std::string_view token) {
  const std::vector<std::string> parts = split(std::string(token), '.');
  if (parts.size() != 3) refuse_token("is not a JSON web token");
  std::string text = replace_all(replace_all(parts[1], "-", "+"), "_", "/");
  text.append((4 - text.size() % 4) % 4, '=');
  const auto decoded = base64_decode(text);
  TokenJson claims = TokenJson::parse(decoded.value_or(""), nullptr, false);
  if (!claims.is_object()) refuse_token("has no claims");
  return claims;
}

}  // namespace

std::vector<GhaScope> gha_scopes(std::string_view token, std::int64_t now_s) {
  const TokenJson claims = claims_of(token);
  const auto expires = claims.find("exp");
  if (expires != claims.end() && expires->is_number() && expires->get<double>() <= static_cast<double>(now_s))
    refuse_token("has expired");
  const auto access = claims.find("ac");
  const TokenJson list = access != claims.end() && access->is_string()
                             ? TokenJson::parse(access->get_ref<const std::string&>(), nullptr, false)
                             : TokenJson();
  if (!list.is_array()) refuse_token("has no access to caches");
  std::vector<GhaScope> out;
  for (const TokenJson& entry : list) {
    if (!entry.is_object() || !entry.contains("Scope") || !entry["Scope"].is_string()) continue;
    const auto permission = entry.find("Permission");
    const unsigned bits =
        permission != entry.end() && permission->is_number_unsigned() ? permission->get<unsigned>() : 1;
    out.push_back({entry["Scope"].get<std::string>(), (bits & kMayWrite) != 0});
  }
  if (out.empty()) refuse_token("has no access to caches");
  return out;
}

}  // namespace cbuild::cache
