// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cbuild::http {

/// An absolute http or https URL (RFC 3986) without user info and fragment.
struct Url {
  std::string scheme;  ///< "http" or "https"
  std::string host;    ///< lower case; an IPv6 literal keeps its brackets
  std::string port;    ///< digits; empty when it is the scheme's own
  std::string path;    ///< begins with '/'
  std::string query;   ///< with its '?', or empty

  bool operator==(const Url&) const = default;
  std::string str() const { return origin() + path + query; }
  /// "https://host[:port]": URLs of one origin may share credentials.
  std::string origin() const { return scheme + "://" + authority(); }
  /// "host[:port]".
  std::string authority() const { return port.empty() ? host : host + ":" + port; }
  /// For messages: the values of all query members but ns, digest, mount and from are replaced by "***".
  std::string redacted() const;
};

/// nullopt for anything that is not a plain http(s) URL: other schemes, user info, control characters, a bad
/// port.
std::optional<Url> parse_url(std::string_view text);
/// Resolves a Location header against the URL it came from.
std::optional<Url> resolve_url(const Url& base, std::string_view reference);
/// Adds "key=value" to the query, percent-encoded.
void add_query(Url& url, std::string_view key, std::string_view value);
/// application/x-www-form-urlencoded text of one value.
std::string url_encode(std::string_view text);

/// Where an address literal (or "localhost") points. Host names are not resolved and count as public.
enum class Locality { open, internal, link_local, loopback };
Locality locality(std::string_view host);

}  // namespace cbuild::http
