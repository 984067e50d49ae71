// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bake/hcl/value.h"
#include "bake/target.h"

/// Entries of lists such as `output`, as comma-separated text and as HCL values. What is wrong throws hcl::ValueError.
namespace cbuild::bake {

std::vector<std::string> csv_values(const std::string& text);
bool parse_flag(const std::string& text, const std::string& whole);  ///< Go's ParseBool

Attestation parse_attestation(const std::string& text);
OutputEntry parse_output(const std::string& text);
SecretEntry parse_secret(const std::string& text);
SshEntry parse_ssh(const std::string& text);
PolicyEntry parse_policy(const std::string& text);
/// A text without "=" is a list of references to registries.
std::vector<CacheEntry> parse_cache(const std::string& text);

/// Of a list or tuple whose elements are strings or objects; empty strings do not count.
std::vector<Attestation> read_attestations(const hcl::Value& list);
std::vector<CacheEntry> read_caches(const hcl::Value& list);
std::vector<OutputEntry> read_outputs(const hcl::Value& list);
std::vector<SecretEntry> read_secrets(const hcl::Value& list);
std::vector<SshEntry> read_ssh(const hcl::Value& list);
std::vector<PolicyEntry> read_policies(const hcl::Value& list);
ResourceLimits read_resources(const hcl::Value& object);

/// The other way round, for expressions that refer to a target.
hcl::Value to_value(const std::vector<Attestation>& entries);
hcl::Value to_value(const std::vector<CacheEntry>& entries);
hcl::Value to_value(const std::vector<OutputEntry>& entries);
hcl::Value to_value(const std::vector<SecretEntry>& entries);
hcl::Value to_value(const std::vector<SshEntry>& entries);

}  // namespace cbuild::bake
