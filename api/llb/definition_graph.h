// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/process_values.h"
#include "engine/request/request.h"
#include "frontend/lower/lower.h"
#include "oci/platform.h"

namespace pb {
class Definition;
}

/// LLB, the graph that clients of BuildKit's API send, as the graph of this builder.
namespace cbuild::api {

/// A directory of the client, "local://NAME", and the part of it that is wanted.
struct LocalRequest {
  std::string name;
  std::string session;          ///< of the client that has it; empty: of the one who asks for the build
  std::string unique;           ///< whoever gives another one shares no copy
  std::string shared_key_hint;  ///< copies of the same directory by one hint have much in common; empty: `name`
  std::vector<std::string> include_patterns, exclude_patterns;  ///< as in ignore files; no include pattern: everything
  std::vector<std::string> follow_paths;  ///< with the targets of their links; they are included as well
  bool compare_metadata = true;           ///< local.differ: false if equal metadata does not mean equal content
  bool metadata_only = false;             ///< empty files are enough, but for those of `full_content`
  std::vector<std::string> full_content;  ///< patterns

  bool operator==(const LocalRequest&) const = default;
};

/// An image in a content store of the client, "oci-layout://NAME@DIGEST".
struct LayoutRequest {
  std::string session, store;  ///< which store; empty: the client who asks for the build, the store called `name`
  std::string name;            ///< "store/name:tag@sha256:..." after the scheme
  oci::Platform platform;

  bool operator==(const LayoutRequest&) const = default;
};

/// Questions to the caller while definitions are lowered, each at most once for equal requests. They throw Error.
struct LlbCallbacks {
  /// The absolute path of a directory that has what is asked for and nothing else; it stays until the build is over.
  std::function<std::string(const LocalRequest&)> local;
  /// What an ImageResolver takes for the image: "oci-layout://PATH@DIGEST".
  std::function<std::string(const LayoutRequest&)> layout;
  /// The result of an earlier solve, "cbuild://REF": its one target, or the one for the platform of the operation.
  std::function<std::shared_ptr<const frontend::LoweredTargets>(const std::string& ref)> earlier;
  /// Builds the one target and reads a file of it, at most 64 MiB: a definition that a step has made.
  std::function<std::string(const frontend::LoweredTargets&, const std::string& path)> read_file;
};

/// What is the same for all steps of a build.
struct LlbOptions {
  oci::Platform platform;             ///< of operations that name none
  bool no_cache = false;              ///< every step runs
  std::string network;                ///< of steps that ask for nothing, as frontend::LowerOptions::network
  std::vector<std::string> allow;     ///< entitlements: network.host, security.insecure, device
  std::vector<std::string> security;  ///< as frontend::LowerOptions::security
  std::map<std::string, std::string> secret_hashes;  ///< as frontend::LowerOptions::secret_hashes
  std::vector<std::string> extra_hosts;              ///< "name=ip", besides those of a step
  std::vector<Ulimit> ulimits;                       ///< of steps with none of that name
  std::string cgroup_parent;                         ///< of steps that have none
  std::uint64_t shm_size = 0;
  LlbCallbacks callbacks;
};

/// One result of a build.
struct LlbResult {
  std::string target;                          ///< LoweredTarget::target
  const pb::Definition* definition = nullptr;  ///< borrowed; null or without operations: scratch
  oci::Platform platform;
  std::string config;  ///< "containerimage.config" of the result: an image config as JSON; empty: one with no settings
};

/// One graph of all definitions, with one target for each of `results`, in order. Throws Error{input} for a definition
/// that is malformed or asks for something unknown, naming the operation by its name and place in the client's source,
/// the field and its value; Error{denied} for a step without the entitlement; errors of the callbacks and `sources`.
frontend::LoweredTargets lower_definitions(const std::vector<LlbResult>& results, const LlbOptions& options,
                                           const engine::GraphSources& sources);

/// The names that a definition uses of what the caller has to give to the build; each once, sorted.
struct LlbNeeds {
  std::vector<std::string> secrets;  ///< of steps, and of the sources that name one
  std::vector<std::string> ssh;      ///< "default" for those without a name
  std::vector<std::string> locals;   ///< names after "local://"

  bool operator==(const LlbNeeds&) const = default;
};

/// Throws Error{input} for a malformed definition. Nothing is asked or resolved.
LlbNeeds needs(const pb::Definition& definition);

}  // namespace cbuild::api
