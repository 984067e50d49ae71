// SPDX-License-Identifier: Apache-2.0
// URLs of http and https, strict about characters that could split a request line and lenient about blanks and bytes
// above ASCII, which are percent-encoded. References are resolved by RFC 3986. locality() sorts hosts by the network
// they lie in, including the odd spellings of addresses that resolvers accept, so that a redirect from outside can be
// kept from this machine; redacted() keeps tokens in queries out of messages.
#include "base/http/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/text.h"
#include "base/url_parts.h"

namespace cbuild::http {

namespace {

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_ipv6_char(char c) { return is_host_char(c) || c == ':'; }

bool parse_host(std::string_view text, Url& url) {
  if (text.starts_with('[')) {
    if (text.size() < 4 || !text.ends_with(']')) return false;
    if (!std::all_of(text.begin() + 1, text.end() - 1, is_ipv6_char)) return false;
  } else if (text.empty() || !std::all_of(text.begin(), text.end(), is_host_char)) {
    return false;
  }
  url.host = to_lower(text);
  return true;
}

bool parse_authority(std::string_view text, Url& url) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (!parse_host(text.substr(0, colon), url)) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view digits = text.substr(colon + 1);
  const auto port = parse_int(digits);
  if (!port || *port < 1 || *port > 65535) return false;
  if (*port != (url.scheme == "https" ? 443 : 80)) url.port = std::to_string(*port);
  return true;
}

void append_hex(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  out += '%';
  out += kHex[static_cast<unsigned char>(c) >> 4];
  out += kHex[static_cast<unsigned char>(c) & 15];
}

/// Path and query as they go on the wire; nullopt when a control character would split the request line.
std::optional<std::string> clean_target(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return std::nullopt;
    if (c == ' ' || c == '"' || c == '<' || c == '>' || static_cast<unsigned char>(c) >= 0x80) {
      append_hex(out, c);
    } else {
      out += c;
    }
  }
  return out;
}

bool set_target(Url& url, std::string_view target) {
  const std::optional<std::string> clean = clean_target(target.substr(0, target.find('#')));
  if (!clean) return false;
  const std::size_t question = clean->find('?');
  url.path = clean->substr(0, question);
  url.query = question == std::string::npos ? "" : clean->substr(question);
  if (url.path.empty()) url.path = "/";
  return url.path.starts_with('/');
}

/// RFC 3986, 5.2.4.
std::string remove_dots(std::string_view path) {
  std::vector<std::string> out;
  const std::vector<std::string> parts = split(path, '/');
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    if (parts[i] == "..") {
      if (!out.empty()) out.pop_back();
      if (last) out.emplace_back();
    } else if (parts[i] == ".") {
      if (last) out.emplace_back();
    } else {
      out.push_back(parts[i]);
    }
  }
  return "/" + join(out, "/");
}

Locality ipv4_locality(std::uint32_t address) {
  const auto in = [&](std::uint32_t network, int bits) { return (address ^ network) >> (32 - bits) == 0; };
  if (in(0x7f000000, 8) || in(0, 8)) return Locality::loopback;
  if (in(0xa9fe0000, 16)) return Locality::link_local;
  const bool is_private = in(0x0a000000, 8) || in(0xac100000, 12) || in(0xc0a80000, 16) || in(0x64400000, 10);
  return is_private ? Locality::internal : Locality::open;
}

Locality ipv6_locality(const in6_addr& address) {
  const auto* bytes = address.s6_addr;
  if (IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address)) return Locality::loopback;
  if (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_V4COMPAT(&address)) {
    return ipv4_locality((std::uint32_t{bytes[12]} << 24) | (std::uint32_t{bytes[13]} << 16) |
                         (std::uint32_t{bytes[14]} << 8) | bytes[15]);
  }
  if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) return Locality::link_local;
  return (bytes[0] & 0xfe) == 0xfc ? Locality::internal : Locality::open;
}

bool is_shown(std::string_view key) {
  static constexpr std::array<std::string_view, 4> kShown = {"ns", "digest", "mount", "from"};
  return std::find(kShown.begin(), kShown.end(), key) != kShown.end();
}

}  // namespace

std::string Url::redacted() const {
  std::string out = origin() + path;
  char separator = '?';
  for (const std::string& member : split(std::string_view(query).substr(query.empty() ? 0 : 1), '&')) {
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    const bool shown = equals == std::string::npos || is_shown(std::string_view(member).substr(0, equals));
    out += separator + (shown ? member : member.substr(0, equals) + "=***");
    separator = '&';
  }
  return out;
}

std::optional<Url> parse_url(std::string_view text) {
  const std::optional<UrlParts> parts = split_url(text);
  if (!parts || parts->user_info) return std::nullopt;
  Url url;
  url.scheme = to_lower(parts->scheme);
  if (url.scheme != "http" && url.scheme != "https") return std::nullopt;
  if (!parse_authority(parts->authority, url)) return std::nullopt;
  if (!set_target(url, cat(parts->path.empty() ? "/" : parts->path, parts->query))) return std::nullopt;
  return url;
}

std::optional<Url> resolve_url(const Url& base, std::string_view reference) {
  const std::size_t scheme_end = reference.find(':');
  if (scheme_end < reference.find_first_of("/?#")) return parse_url(reference);
  if (reference.starts_with("//")) return parse_url(base.scheme + ":" + std::string(reference));
  Url url = base;
  const std::size_t end = std::min(reference.find_first_of("?#"), reference.size());
  const std::string_view path = reference.substr(0, end);
  std::string target(reference.substr(end));
  if (path.empty()) {
    if (!target.starts_with('?')) target = base.query;
    return set_target(url, base.path + target) ? std::optional(url) : std::nullopt;
  }
  const std::string full =
      path.starts_with('/') ? std::string(path) : base.path.substr(0, base.path.rfind('/') + 1) + std::string(path);
  return set_target(url, remove_dots(full) + target) ? std::optional(url) : std::nullopt;
}

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_host_char(c) || c == '~') {
      out += c;
    } else {
      append_hex(out, c);
    }
  }
  return out;
}

void add_query(Url& url, std::string_view key, std::string_view value) {
  url.query += url.query.empty() ? '?' : '&';
  url.query += url_encode(key) + "=" + url_encode(value);
}

Locality locality(std::string_view host) {
  std::string text = to_lower(host);
  if (text == "localhost" || text.ends_with(".localhost")) return Locality::loopback;
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), &v6) == 1) return ipv6_locality(v6);
  in_addr v4{};
  // inet_aton, because the resolver takes "127.1" and "0x7f000001" too.
  if (::inet_aton(text.c_str(), &v4) != 0) return ipv4_locality(ntohl(v4.s_addr));
  return Locality::open;
}

}  // namespace cbuild::http
