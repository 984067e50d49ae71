// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/reference.h"

namespace cbuild::oci::routes {

/// Where a table of registries.conf leads.
struct RegistryPlace {
  std::string location;  ///< "host[:port][/path]", in the place of the prefix
  bool insecure = false;

  bool operator==(const RegistryPlace&) const = default;
};

struct RegistryMirror {
  RegistryPlace place;
  bool for_tags = true, for_digests = true;  ///< the references that it is asked for

  bool operator==(const RegistryMirror&) const = default;
};

/// One `[[registry]]` of containers-registries.conf(5).
struct RegistryTable {
  std::string prefix;   ///< "host[:port][/path][:tag]", or "*.host"
  RegistryPlace place;  ///< an empty location: the name itself
  std::vector<RegistryMirror> mirrors;
  bool blocked = false;
  std::string file;

  bool operator==(const RegistryTable&) const = default;
};

/// The entry of `credential-helpers` that stands for the files with accounts.
inline constexpr std::string_view kAccountFiles = "containers-auth.json";

/// One file: version 2, and what version 1 says of insecure and blocked registries. Aliases and search lists are passed
/// over.
struct RegistriesFile {
  std::vector<RegistryTable> tables;
  std::optional<std::vector<std::string>> credential_helpers;  ///< names of programs, and kAccountFiles

  bool operator==(const RegistriesFile&) const = default;
};

/// Throws Error{input}.
RegistriesFile parse_registries_conf(std::string_view text, const std::string& file);

/// Length of the part of "host/repository[:tag][@digest]" that a prefix matches; nullopt if it does not.
std::optional<std::size_t> match_prefix(std::string_view name, std::string_view prefix);

/// The table with the longest matching prefix, the last of equal ones; null if there is none.
const RegistryTable* find_table(const std::vector<RegistryTable>& tables, std::string_view name);

/// The name of an image with the location in the place of the prefix. Throws Error{input} if that is not a name.
Reference rewrite(const Reference& reference, std::string_view prefix, const std::string& location);

}  // namespace cbuild::oci::routes
