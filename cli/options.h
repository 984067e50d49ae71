// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/call_options.h"
#include "cli/command.h"
#include "cli/source_policy.h"
#include "exporter/cache_spec.h"
#include "exporter/outputs.h"
#include "oci/platform.h"
#include "oci/registry/limits.h"
#include "sandbox/spec.h"
#include "solver/graph/op.h"

namespace cbuild::cli {

enum class ProgressMode { automatic, tty, plain, quiet, rawjson };
enum class PullPolicy { missing, always, never };

/// `--secret id=x,src=file` or `env=NAME`.
/// `hashed`: cache=hash, a changed value runs the steps again that use it.
struct SecretOption {
  std::string id, file, env;
  bool hashed = false;
};
/// `--ssh ID=SOCKET` or `--ssh ID=KEY,...`: one of the two is empty.
struct SshOption {
  std::string id, socket;
  std::vector<std::string> keys;  ///< files
};

/// Everything `cbuild [build]` takes, checked; of the files it names, those that are given to a build unseen (secrets,
/// keys) are there.
struct BuildOptions {
  std::string context = ".";
  std::string file;  ///< -f; empty: Dockerfile of the context; "-": stdin
  std::vector<std::string> targets = {
      ""};  ///< stages to build, each once, as the user spells them; "": the last one of the file
  std::map<std::string, std::string> build_args, labels, build_contexts;
  std::optional<oci::Platform> platform;
  bool no_cache = false;
  std::vector<std::string> no_cache_filter;  ///< "STAGE" or "STAGE:LINE"
  bool only_used_args = false;               ///< --arg-keys=used
  PullPolicy pull = PullPolicy::missing;
  std::string network;
  std::vector<std::string> extra_hosts, allow, dns;
  std::vector<SecretOption> secrets;
  std::vector<SshOption> ssh;
  std::uint64_t shm_size = 0;
  std::vector<solver::Ulimit> ulimits;
  std::string cgroup_parent;
  std::vector<std::string> cdi_directories;
  sandbox::Resources resources;
  std::int64_t step_timeout_ns = 0;
  unsigned step_retries = 0;
  std::vector<exporter::Output> outputs;  ///< each for the one target it names, grouped by `targets`
  std::vector<exporter::CacheSpec> cache_to, cache_from;
  std::string metadata_file, iid_file;
  ProgressMode progress = ProgressMode::automatic;
  bool debug = false;
  unsigned jobs = 0;
  std::string isolation;  ///< "", "root", "rootless", "chroot", ...
  std::vector<std::string> insecure_registries;
  oci::registry::TransferLimits transfer_limits;
  std::optional<std::string> auth_file;
  std::optional<CallOptions> call;                    ///< answer this instead of building
  std::vector<std::string> notes;                     ///< what the command line has without effect, to be shown
  bool in_history = true;                             ///< cbuild history keeps it
  std::shared_ptr<const SourcePolicy> source_policy;  ///< null: every source is taken as it is written
  bool metadata_warnings = false;                     ///< --metadata-file has the findings of the checks
};

/// A build as the command line has it.
struct BuildLine {
  std::string root;  ///< --root: the store; empty: the default
  BuildOptions build;
};

/// What `cbuild bench` adds to a build.
struct BenchOptions {
  unsigned runs = 3;
  std::string edit;  ///< file of the context to change for the edit run; empty: the smallest one that a COPY reads
  bool json = false;
};

struct BenchLine {
  BuildLine line;
  BenchOptions bench;
};

/// What `cbuild graph` adds to a build: the graph is that of a Dockerfile if a context or -f was given, else of a build
/// of the history.
struct GraphLine {
  BuildLine line;
  bool of_dockerfile = false;
  std::string build, format = "dot";
};

/// Parse the words behind the command's name. Throw Error{usage}; nullopt when help or the version was asked for and is
/// printed.
std::optional<BuildLine> parse_build_line(Arguments arguments);
std::optional<BenchLine> parse_bench_line(Arguments arguments);
std::optional<GraphLine> parse_graph_line(Arguments arguments);

}  // namespace cbuild::cli
