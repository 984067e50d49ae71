// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// Targets of a bake file as values. A member that is nullopt is not set; an empty one is set to nothing, which matters
/// where one target overrides another.
namespace cbuild::bake {

using Strings = std::vector<std::string>;
using Attributes = std::map<std::string, std::string>;
using Settings = std::map<std::string, std::optional<std::string>>;  ///< null: as if it were not there

struct Attestation {
  std::string type;
  bool disabled = false;
  Attributes attributes;
  bool operator==(const Attestation&) const = default;
};
/// A cache: "registry", "local", ...
struct CacheEntry {
  std::string type;
  Attributes attributes;
  bool operator==(const CacheEntry&) const = default;
};
struct OutputEntry {
  std::string type, destination;
  Attributes attributes;
  bool operator==(const OutputEntry&) const = default;
};
struct SecretEntry {
  std::string id, source, environment;
  bool operator==(const SecretEntry&) const = default;
};
struct SshEntry {
  std::string id;
  Strings paths;
  bool operator==(const SshEntry&) const = default;
};
struct PolicyEntry {
  Strings files;
  bool reset = false, disabled = false;
  std::optional<bool> strict;
  std::string log_level;
  bool operator==(const PolicyEntry&) const = default;
};
struct ResourceLimits {
  std::optional<std::string> memory, memory_swap;
  std::optional<std::int64_t> cpu_shares, cpu_period, cpu_quota;
  std::optional<std::string> cpuset_cpus, cpuset_mems;
  bool operator==(const ResourceLimits&) const = default;
};

/// The directory of the file that a path was written in; for BUILDX_BAKE_FILE_RELATIVE_PATHS.
struct PathBases {
  std::optional<std::string> file;     ///< of the file of the target
  std::optional<std::string> context;  ///< of the one that sets `context`
  std::string context_target;          ///< the target that `context` refers to
  std::map<std::string, std::string> contexts;
  bool operator==(const PathBases&) const = default;
};

struct Target {
  std::string name, description;
  Strings inherits;
  std::optional<Strings> annotations;
  std::optional<std::vector<Attestation>> attest;
  std::optional<std::string> context;
  std::map<std::string, std::string> contexts;
  std::optional<std::string> dockerfile, dockerfile_inline;
  Settings args, labels;
  std::optional<Strings> tags;
  std::optional<std::vector<CacheEntry>> cache_from, cache_to;
  std::optional<std::string> stage;
  std::optional<std::vector<SecretEntry>> secrets;
  std::optional<std::vector<SshEntry>> ssh;
  std::optional<Strings> platforms;
  std::optional<std::vector<OutputEntry>> outputs;
  std::optional<bool> pull, no_cache;
  std::optional<std::string> network;
  std::optional<Strings> no_cache_filter;
  std::optional<std::string> shm_size;
  std::optional<Strings> ulimits;
  std::optional<ResourceLimits> resources;
  std::optional<std::string> call;
  std::optional<Strings> entitlements;
  Settings extra_hosts;
  std::optional<std::vector<PolicyEntry>> policy;

  bool linked = false;  ///< built only because a context of another target names it
  PathBases bases;
};

struct Group {
  std::string name, description;
  Strings targets;
};

/// What `over` sets replaces what `target` has or is added to it, as the attribute has it.
void merge(Target& target, const Target& over);
/// Removes what is there twice and what is empty.
void normalize(Target& target);

/// `more` added to `entries`, of which one a type, id and so on is kept.
void merge_entries(std::optional<std::vector<Attestation>>& entries, const std::vector<Attestation>& more);
void merge_entries(std::optional<std::vector<CacheEntry>>& entries, const std::vector<CacheEntry>& more);
void merge_entries(std::optional<std::vector<OutputEntry>>& entries, const std::vector<OutputEntry>& more);
void merge_entries(std::optional<std::vector<SecretEntry>>& entries, const std::vector<SecretEntry>& more);
void merge_entries(std::optional<std::vector<SshEntry>>& entries, const std::vector<SshEntry>& more);

/// The first of each.
Strings without_repeats(const Strings& items);

}  // namespace cbuild::bake
