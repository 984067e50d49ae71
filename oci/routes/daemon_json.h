// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http/url.h"

namespace cbuild::oci::routes {

/// A range of addresses, "10.0.0.0/8".
struct AddressRange {
  std::string bytes;  ///< 4 or 16, network order
  unsigned bits = 0;

  /// An address literal, IPv6 with or without brackets. Names are not in any range.
  bool holds(std::string_view host) const;
  bool operator==(const AddressRange&) const = default;
};

/// The members of dockerd's daemon.json about registries.
struct DaemonFile {
  std::vector<http::Url> mirrors;           ///< of Docker Hub
  std::vector<std::string> insecure_hosts;  ///< "host[:port]", lower case
  std::vector<AddressRange> insecure_ranges;
  std::string file;

  /// Whether docker would reach this host without verified TLS. A name is looked up if there are ranges.
  bool is_insecure(const http::Url& url) const;
  bool operator==(const DaemonFile&) const = default;
};

/// Throws Error{input}.
DaemonFile parse_daemon_json(std::string_view text, const std::string& file);

}  // namespace cbuild::oci::routes
