// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/process_values.h"
#include "frontend/syntax/check.h"
#include "oci/image_config.h"
#include "oci/platform.h"
#include "solver/graph/op.h"

namespace cbuild::frontend {

struct Outline;

/// A base image, resolved as far as the build needs before any layer is fetched.
struct ResolvedImage {
  Digest manifest;
  oci::ImageConfig config;
  std::string locator;  ///< for solver::ImageSource
};

/// Finds base images. Seam; the real one asks the store, OCI layouts and registries.
class ImageResolver {
 public:
  virtual ~ImageResolver() = default;
  /// `reference` as in the Dockerfile after expansion, or the value of a named context ("oci-layout://...",
  /// "docker-image://..."). `locked`: the digest that a lock file has for it; empty: the present image. Throws Error:
  /// not_found, network, denied, unsupported ("no linux/arm64 in ...").
  virtual ResolvedImage resolve(const std::string& reference, const Digest& locked, const oci::Platform& platform) = 0;
  /// The same of what the registry has at the moment, whatever the store knows; a policy that forbids to ask counts.
  virtual ResolvedImage resolve_present(const std::string& reference, const Digest& locked,
                                        const oci::Platform& platform) {
    return resolve(reference, locked, platform);
  }
};

/// The content of a URL at the moment.
struct PinnedFile {
  Digest content;
  std::optional<std::int64_t> last_modified_s;
};

/// Where a ref of a git remote points at the moment.
struct PinnedCommit {
  std::string commit;      ///< full object name of the commit
  std::string tag_object;  ///< object name of the annotated tag on the way; empty if there is none
  std::string ref;         ///< full name of the ref ("refs/heads/main"); may be empty
};

struct GitRef;

/// Ties remote sources (ADD of URLs and repositories, named contexts) to content before anything is built, so that they
/// have a cache key. Seam; the real one asks the network.
class SourcePinner {
 public:
  virtual ~SourcePinner() = default;
  /// A URL after the source policy, with the digest that its content must have (empty: any), before it is pinned.
  /// Throws Error{denied}.
  virtual void redirect_url(std::string& /*url*/, Digest& /*expected*/) {}
  /// The same of a repository, also where the commit is known and nothing is asked.
  virtual void redirect_git(GitRef& /*ref*/) {}
  /// `expected` (empty: unknown) is the digest that the user gave: when that content is at hand no request is needed.
  /// Throws Error.
  virtual PinnedFile pin_url(const std::string& url, const Digest& expected) = 0;
  /// `ref` empty means the remote's HEAD; never a full commit id, that needs no pinning. Throws Error.
  virtual PinnedCommit pin_git(const std::string& remote, const std::string& ref) = 0;
  /// The time that a pinned source carries, in seconds since the epoch: a commit's, a file's Last-Modified, that of the
  /// newest regular file in an archive. nullopt: it has none. Throws Error.
  virtual std::optional<std::int64_t> source_time(const solver::Op& source) = 0;
};

/// The digests that a lock file has for the sources that a Dockerfile names. Seam. It is asked before a source is
/// pinned; not about contexts, and not where the Dockerfile gives a digest, a checksum or a commit itself. All of these
/// throw Error{input} for a source that is not to be used.
class SourceLock {
 public:
  virtual ~SourceLock() = default;
  /// `name` is complete: "docker.io/library/alpine:3.20". Empty: the present one.
  virtual Digest lock_image(const std::string& name, const Span& where) = 0;
  virtual Digest lock_url(const std::string& url, const Span& where) = 0;
  /// Gives `ref` its full name and the commit as the checksum; leaves it for the present one.
  virtual void lock_git(GitRef& ref, const Span& where) = 0;
  /// Tells about a failure to get what is locked.
  virtual void explain(Error& error) const = 0;
};

/// Questions to the caller while a Dockerfile is lowered.
struct LowerCallbacks {
  /// Ignore patterns for the main context in the stage of that name; nullopt: LowerOptions::context_ignore.
  std::function<std::optional<std::vector<std::string>>(const std::string& stage)> stage_ignore;
  std::function<std::vector<std::string>(const std::string& directory)>
      named_context_ignore;        ///< ignore patterns of a local named context
  SourcePinner* pinner = nullptr;  ///< borrowed; nullptr: this call has no network sources
  SourceLock* lock = nullptr;      ///< borrowed; nullptr: sources are taken as they are now
};

/// Reports of lowering next to the graph; each is borrowed and may be null.
struct LowerReports {
  Checks* checks = nullptr;    ///< gets the findings, also when lowering fails; nullptr: none are made
  Outline* outline = nullptr;  ///< gets the parameters of the target
};

/// The options of lowering, as values.
struct LowerOptions {
  std::string target;  ///< empty: the last stage
  std::map<std::string, std::string> build_args;
  std::map<std::string, std::string> labels;  ///< --label
  std::map<std::string, std::string>
      named_contexts;        ///< name -> value as given; local directories as absolute paths "local:/dir"
  std::string context_path;  ///< absolute directory of the main context; empty: none (stdin Dockerfile)
  std::vector<std::string> context_ignore;   ///< patterns of its ignore file
  std::optional<solver::Op> context_source;  ///< the main context is not a directory: a GitSource or HttpSource
  oci::Platform target_platform, build_platform;
  std::vector<oci::Platform> platforms;  ///< lower_targets(): one result each, in the place of target_platform
  bool platform_given = false;           ///< --platform was used
  bool no_cache = false;
  std::vector<std::string> no_cache_filter;  ///< "STAGE" or "STAGE:LINE"
  bool only_used_args = false;  ///< ARGs that a RUN cannot be seen to use (arg_usage.h) are not part of its key
  std::map<std::string, std::string> secret_hashes;  ///< by id: keyed hashes of the values that are part of keys
  std::string network;                               ///< "", "default", "host", "none": build-wide mode
  std::vector<std::string> allow;                    ///< entitlements: network.host, security.insecure
  std::vector<std::string> security;                 ///< rights of steps that differ from the usual ones, for keys
  std::vector<std::string> extra_hosts;              ///< name=ip
  std::vector<Ulimit> ulimits;
  std::uint64_t shm_size = 0;
  std::string cgroup_parent, hostname;
  std::int64_t step_timeout_ns = 0;  ///< for a RUN without --timeout; 0: none
  unsigned step_retries = 0;         ///< for a RUN without --retry
  bool multi_platform = false;       ///< a result of several platforms is made: step names say which
  bool all_stages = false;   ///< without a target: lower the stages that it does not need as well, for their checks
  bool scan_extras = false;  ///< the result is scanned for an SBOM: BUILDKIT_SBOM_SCAN_STAGE and _CONTEXT count
  bool dry = false;          ///< nothing will be carried out: commits need not match checksums, as `pinner` may not ask
  LowerCallbacks callbacks;
  LowerReports reports;
};

}  // namespace cbuild::frontend
