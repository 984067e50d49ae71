// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/http/limits.h"
#include "base/process_values.h"
#include "cache/remote/cache_flag.h"
#include "engine/request/signature_policy.h"
#include "engine/request/source_policy.h"
#include "exporter/outputs.h"
#include "frontend/lower/lower.h"
#include "oci/platform.h"
#include "oci/routes/config_files.h"
#include "sandbox/spec.h"
#include "solver/graph/op.h"
#include "solver/ops/step_log.h"
#include "supply/attestation_settings.h"
#include "supply/sign/key.h"

/// One build as values. Nothing here is a command line, a terminal or a variable of the environment: a front door makes
/// them of its own input.
namespace cbuild::engine {

/// A directory of this machine, absolute or below the working directory.
struct DirectoryContext {
  std::string path;
};
/// A repository; an archive; or one file, which is the Dockerfile.
struct UrlContext {
  std::string url;
};
/// An open descriptor, which is read to its end: an archive, or the Dockerfile with no context at all.
struct StreamContext {
  int fd = -1;
};
using Context = std::variant<DirectoryContext, UrlContext, StreamContext>;

/// The first there is in the context of "Dockerfile", "dockerfile" and "Containerfile".
struct DefaultDockerfile {};
/// A file of this machine; with a context that is not a directory a relative path is one in the context.
struct NamedDockerfile {
  std::string path;
};
struct UrlDockerfile {
  std::string url;
};
/// An open descriptor, which is read to its end.
struct StreamDockerfile {
  int fd = -1;
};
/// A text that the front door has read itself, and that of the ignore file which counts for it, if there is one.
struct GivenDockerfile {
  std::string name, text;  ///< name: in messages
  std::optional<std::string> ignore = {};
};
using DockerfileSource =
    std::variant<DefaultDockerfile, NamedDockerfile, UrlDockerfile, StreamDockerfile, GivenDockerfile>;

/// How a graph that is not a Dockerfile's gets at its sources: images by name, and URLs and repositories at the moment.
struct GraphSources {
  frontend::ImageResolver& images;
  frontend::SourcePinner& pinner;
};

/// A directory that a graph reads, and the parts of it that count.
struct DirectoryRead {
  const solver::LocalSource& directory;
  std::vector<solver::Selector> parts;  ///< at least one
};

/// The Dockerfile, its contexts and the targets.
struct InputSettings {
  Context context = DirectoryContext{"."};
  std::string context_name;  ///< of the context in the history; empty: its path
  DockerfileSource dockerfile;
  std::vector<std::string> targets = {
      ""};  ///< stages to build, each once, as the user spells them; "": the last one of the file
  std::map<std::string, std::string> build_args, labels;
  std::map<std::string, std::string>
      named_contexts;                    ///< name -> a directory, a URL, "docker-image://", "oci-layout://"
  std::vector<oci::Platform> platforms;  ///< of the result, each once; empty: this machine's
  /// The lock file; empty: the sources are taken as they are now. nullopt: "DOCKERFILE.lock" next to the Dockerfile, if
  /// there is one.
  std::optional<std::string> lock_file;
  std::map<std::string, std::string> vcs;  ///< where the context is kept, for the provenance: "source", "revision"
  /// Called when the graph is known, for each directory that it reads, which may be filled then. Throws Error. Empty:
  /// they are there.
  std::function<void(const DirectoryRead&)> fill_directory;
  /// Makes the graph in the place of a Dockerfile; of the fields above only the platforms count then. Its targets are
  /// one for each of wanted_platforms(). Throws Error. Empty: there is a Dockerfile.
  std::function<frontend::LoweredTargets(const GraphSources&)> graph;
};

/// The platforms of the result, at least one.
std::vector<oci::Platform> wanted_platforms(const InputSettings& inputs);

/// Whether the result has an index: for several platforms, or if the build argument BUILDKIT_MULTI_PLATFORM asks for
/// it. Throws Error{usage} for a value that is not true or false, and for false with several platforms.
bool is_multi_platform(const InputSettings& inputs);

class EnteredStep;
struct StepFailed;

/// `hashed`: a changed value runs the steps again that use it.
struct Secret {
  std::string id;
  std::function<std::string()> read;  ///< the value; called each time a step or a source needs it. Throws Error.
  bool hashed = false;
};

/// An ssh agent for the steps: one that listens at `socket`, or one that the build starts for private keys. One of the
/// two is empty.
struct SshSource {
  std::string id, socket;
  std::vector<std::string> keys;  ///< files
};

/// The environment of the steps besides the Dockerfile, and their limits.
struct StepSettings {
  std::string network;                        ///< "", "default", "host", "none"
  std::vector<std::string> extra_hosts, dns;  ///< "NAME=IP"; name servers instead of the machine's
  std::vector<std::string> allowed_hosts;     ///< rules of sandbox::network::EgressRules; empty: all
  std::string ca_certificates;                ///< PEM; steps trust them besides those of their own root
  std::vector<std::string> allow;             ///< entitlements
  std::vector<Secret> secrets;
  bool mask_secrets = true;  ///< their values are replaced in the output of steps
  std::vector<SshSource> ssh;
  /// Asked for a secret, or the socket of an agent, that the lists do not have; nullopt: there is none. Throw Error.
  /// Empty: there are no others.
  std::function<std::optional<std::string>(const std::string& id)> other_secret, other_agent;
  std::vector<std::string> agent_environment;  ///< "NAME=VALUE" for ssh-agent, which its PATH finds
  std::uint64_t shm_size = 0;
  std::vector<Ulimit> ulimits;
  std::string cgroup_parent;
  std::vector<std::string> cdi_directories;
  Resources resources;
  sandbox::confine::Security security;
  solver::ops::LogLimits log_limits;
  std::int64_t timeout_ns = 0;  ///< of a RUN without --timeout; 0: none
  unsigned retries = 0;         ///< of a RUN without --retry
  unsigned jobs = 0;            ///< steps that run at once; 0: the scheduler's default
  std::string runtime;          ///< an OCI runtime, by name or path; "": the sandbox of our own
  std::string isolation;        ///< a mode of the sandbox by name; "": the best one that works here
  /// Called when a command has failed and everything else of the build has ended, while its step can be entered. An
  /// exception of it takes the place of the failure. Empty: the failure is the end.
  std::function<void(const StepFailed&, EnteredStep&)> on_failure;
};

/// Which results of other builds count, and where else they are.
struct CacheSettings {
  bool none = false;                 ///< every step runs
  std::vector<std::string> ignored;  ///< "STAGE" or "STAGE:LINE": these run
  bool only_used_args = false;       ///< ARGs that a RUN cannot be seen to use are not part of its key
  std::vector<cache::CacheSpec> to, from;
};

struct BuildResult;

/// The outputs.
struct OutputSettings {
  std::vector<exporter::Output> list;  ///< each for the one target it names, grouped by targets
  bool every_image = false;            ///< a target that no output makes an image of becomes one all the same
  bool engine_ids = false;             ///< image ids are those of the engine that the image is loaded into
  supply::AttestationSettings attestations;
  std::shared_ptr<const supply::SigningKey> signer;  ///< of pushed images; null: they are not signed
  bool tell_provenance = false;                      ///< TargetImage::provenance is wanted
  /// Called when all of `list` is written, before the caches are: the result so far; and again when a cache was
  /// exported that the result names. An exception of it is a failed output. Empty: nobody asks.
  std::function<void(const BuildResult&)> on_written;
};

enum class PullPolicy { missing, always, never };

/// How images and other sources are fetched.
struct SourceSettings {
  PullPolicy pull = PullPolicy::missing;
  std::vector<std::string> insecure_registries;
  http::TransferLimits transfer_limits;
  std::optional<std::string> auth_file;  ///< credentials instead of docker's and podman's files
  /// The account for a registry, instead of any that files and variables have; nullopt: none. Empty: those count.
  std::function<std::optional<oci::registry::Credentials>(const std::string& host)> account;
  oci::routes::ConfigFiles registry_files;            ///< that say where registries are; by default none
  std::shared_ptr<const SignaturePolicy> signatures;  ///< which images need one; null: none
  std::shared_ptr<const SourcePolicy> policy;         ///< null: every source is taken as it is written
};

/// When the store is synced after a build that recorded something. Until then that counts only as long as the machine
/// runs: after the next start it is forgotten.
enum class Sync {
  end,    ///< by the build, before it ends
  later,  ///< by the front door, when the build is over: BuildResult::sync_later
  none,   ///< by no one, or by a later build
};

/// One build. Whoever asks for it keeps it until it is over.
struct BuildRequest {
  InputSettings inputs;
  StepSettings steps;
  CacheSettings caches;
  SourceSettings sources;
  OutputSettings outputs;
  Sync sync = Sync::end;
  bool tell_isolation = false;  ///< says which mode of the sandbox is used also where it is the usual one
  bool in_history = true;       ///< the store's history keeps it
  std::string again;            ///< the front door's own words for asking for it again; kept in the history
};

/// The text that names a Dockerfile: its path, URL or name, "-" for a stream, "" for the default.
std::string spelling(const DockerfileSource& dockerfile);

}  // namespace cbuild::engine
