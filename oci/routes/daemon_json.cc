// SPDX-License-Identifier: Apache-2.0
#include "oci/routes/daemon_json.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/process/name_services.h"
#include "base/text.h"
#include "oci/json.h"

namespace cbuild::oci::routes {
namespace {

constexpr std::size_t kMostDaemonJson = 1u << 20;

std::optional<std::string> address_bytes(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string text(host);
  std::string out(16, '\0');
  if (::inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return out;
  out.resize(4);
  if (::inet_pton(AF_INET, text.c_str(), out.data()) == 1) return out;
  return std::nullopt;
}

bool holds_bytes(const AddressRange& range, const std::string& address) {
  if (address.size() != range.bytes.size()) return false;
  for (unsigned bit = 0; bit < range.bits; ++bit) {
    const int differ = (address[bit / 8] ^ range.bytes[bit / 8]) >> (7 - bit % 8);
    if ((differ & 1) != 0) return false;
  }
  return true;
}

std::optional<AddressRange> parse_range(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto bytes = address_bytes(text.substr(0, slash));
  const auto bits = parse_int(text.substr(slash + 1));
  if (!bytes || !bits || *bits < 0 || *bits > static_cast<std::int64_t>(bytes->size() * 8)) return std::nullopt;
  return AddressRange{*bytes, static_cast<unsigned>(*bits)};
}

/// The addresses of a name; none if it has none.
std::vector<std::string> look_up(const std::string& host) {
  use_builtin_name_services();
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  std::vector<std::string> out;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      out.emplace_back(reinterpret_cast<const char*>(&address->sin_addr), 4);
    } else if (entry->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      out.emplace_back(reinterpret_cast<const char*>(&address->sin6_addr), 16);
    }
  }
  return out;
}

}  // namespace

bool AddressRange::holds(std::string_view host) const {
  const auto address = address_bytes(host);
  return address && holds_bytes(*this, *address);
}

bool DaemonFile::is_insecure(const http::Url& url) const {
  for (const std::string& name : insecure_hosts)
    if (name == url.host || name == url.authority()) return true;
  if (insecure_ranges.empty()) return false;
  std::vector<std::string> addresses;
  if (auto literal = address_bytes(url.host)) {
    addresses.push_back(*std::move(literal));
  } else {
    addresses = look_up(url.host);
  }
  return std::any_of(insecure_ranges.begin(), insecure_ranges.end(), [&](const AddressRange& range) {
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const std::string& address) { return holds_bytes(range, address); });
  });
}

DaemonFile parse_daemon_json(std::string_view text, const std::string& file) {
  DaemonFile out;
  out.file = file;
  if (trim(text).empty()) return out;
  try {
    const nlohmann::json document = json::parse_object(text, kMostDaemonJson, "configuration");
    for (const std::string& mirror : json::texts(document, "registry-mirrors")) {
      const auto url = http::parse_url(mirror);
      if (!url || !url->query.empty())
        throw Error(ErrorCode::input, cat("registry-mirrors: ", go_quote(mirror), " is not a URL of a host"));
      out.mirrors.push_back(*url);
    }
    for (const std::string& entry : json::texts(document, "insecure-registries")) {
      if (auto range = parse_range(entry)) {
        out.insecure_ranges.push_back(*std::move(range));
      } else {
        const std::size_t scheme = entry.find("://");
        out.insecure_hosts.push_back(to_lower(scheme == std::string::npos ? entry : entry.substr(scheme + 3)));
      }
    }
  } catch (const Error& error) {
    throw Error(ErrorCode::input, cat(file, ": ", error.what()));
  }
  return out;
}

}  // namespace cbuild::oci::routes
