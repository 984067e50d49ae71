// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/descriptor.h"
#include "supply/attestation_settings.h"

namespace cbuild::supply {

/// Digests by algorithm, in hex.
using DigestSet = std::map<std::string, std::string>;

/// A source of the build and its content.
struct Material {
  std::string uri;
  DigestSet digest;

  bool operator==(const Material&) const = default;
};

/// A secret or an ssh agent that a step may use; never its value.
struct AccessUse {
  std::string id;
  bool optional = false;

  bool operator==(const AccessUse&) const = default;
};

struct LineRange {
  std::uint32_t first = 0, last = 0;

  bool operator==(const LineRange&) const = default;
};

/// A vertex of the build.
struct ProvenanceStep {
  std::string digest;                   ///< "sha256:..."
  std::vector<std::string> inputs;      ///< "step0:0"
  std::string op;                       ///< as JSON, with the names that BuildKit's LLB has
  std::vector<LineRange> lines;         ///< of the Dockerfile
  std::vector<oci::Descriptor> layers;  ///< of its result, bottom first; empty: not known or none
};

/// How an image came to be: the values of a provenance. Both modes and both versions are written from them.
struct Provenance {
  std::vector<Material> materials;
  bool all_materials = true;                ///< each source of the build has a digest
  Material config_source;                   ///< where the Dockerfile came from; empty for a directory
  std::string dockerfile, dockerfile_text;  ///< its name in the source, and its content
  std::map<std::string, std::string>
      args;              ///< as BuildKit's frontend takes them: "build-arg:NAME", "label:NAME", "target"
  bool all_args = true;  ///< none was left out
  std::vector<AccessUse> secrets, ssh;
  std::vector<std::string> locals;
  std::map<std::string, std::string> vcs;  ///< "source", "revision"
  std::string builder_platform, builder_version, invocation_id;
  std::int64_t started_ns = 0, finished_ns = 0;
  bool network = false;  ///< some command could reach one
  std::vector<ProvenanceStep> steps;
  std::vector<std::string> hidden;  ///< texts that must not appear anywhere
};

/// The predicate's type: "https://slsa.dev/provenance/v1".
std::string_view predicate_type(SlsaVersion version);

/// The predicate as JSON, on one line; build arguments, labels and secrets only with mode=max. Throws Error{input} for
/// complete-materials that are not.
std::string to_predicate(const Provenance& provenance, const ProvenanceSettings& settings);

/// The part of a provenance that a metadata file has: version 0.2, with steps and times only if `max`.
std::string to_metadata(const Provenance& provenance, const ProvenanceSettings& settings, bool max);

}  // namespace cbuild::supply
