// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cbuild::frontend {

/// RUN --mount, parsed. Meaning and defaults as in BuildKit (Dockerfile reference, "RUN --mount").
struct MountSpec {
  enum class Type { bind, cache, tmpfs, secret, ssh } type = Type::bind;
  enum class Sharing { shared, private_, locked } sharing = Sharing::shared;
  std::string from, source, target, id, env_name;
  bool read_only = true, required = false;
  std::uint64_t size_bytes = 0;
  std::optional<std::uint32_t> mode, uid, gid;

  bool operator==(const MountSpec&) const = default;
};

/// Parses the CSV of one --mount, at the point of the build where it is used. `expand` is applied to every value but
/// from=. Ids and targets that follow from each other are left as given. Throws Error{input} with BuildKit's texts
/// and a suggestion as hint for unknown keys, types and sharing modes.
MountSpec parse_mount(std::string_view csv, const std::function<std::string(std::string_view)>& expand);

/// The checks that need no variables: throws Error{input} for text that is not CSV and for a variable in from=.
void check_mount(std::string_view csv);

/// RUN --device, parsed.
struct DeviceSpec {
  std::string name;
  bool required = false;

  bool operator==(const DeviceSpec&) const = default;
};

/// Parses the CSV of one --device. Throws Error{input}.
DeviceSpec parse_device(std::string_view csv);

}  // namespace cbuild::frontend
