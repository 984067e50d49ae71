// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::supply {

/// The form of a provenance: https://slsa.dev/provenance/v1 or v0.2.
enum class SlsaVersion { v1, v0_2 };

/// The values of "type=provenance", with BuildKit's defaults.
struct ProvenanceSettings {
  bool max = true;  ///< mode=max (the default where a provenance is asked for) or min
  SlsaVersion version = SlsaVersion::v1;
  std::string builder_id;
  bool reproducible = false;        ///< stated, not checked
  bool inline_only = false;         ///< for outputs with attestation-inline=true only
  bool complete_materials = false;  ///< a build with a source that has no digest is an error
  std::string file_name = "provenance.json";

  bool operator==(const ProvenanceSettings&) const = default;
};

/// The values of "type=sbom".
struct SbomSettings {
  std::string generator;                          ///< image of a scanner; empty: the built-in one
  std::map<std::string, std::string> parameters;  ///< for the scanner, as BUILDKIT_SCAN_NAME

  bool operator==(const SbomSettings&) const = default;
};

/// The attestations of a build.
struct AttestationSettings {
  std::optional<ProvenanceSettings> provenance;
  std::optional<SbomSettings> sbom;

  bool operator==(const AttestationSettings&) const = default;
};

/// --provenance=VALUE or --sbom=VALUE as --attest has it: "true" and "false", or its keys. Empty for an empty value.
std::string as_attest(std::string_view type, const std::string& value);

/// Reads the values of --attest ("type=provenance,mode=min", "type=sbom,disabled=true"). Of two of one type the first
/// counts. Build arguments BUILDKIT_ATTEST_PROVENANCE and _SBOM count where there is no such value. Unless
/// `no_defaults`, a provenance that nobody mentions is mode=min,inline-only=true. Throws Error{usage}.
AttestationSettings parse_attestations(std::span<const std::string> values,
                                       const std::map<std::string, std::string>& build_args, bool no_defaults);

}  // namespace cbuild::supply
