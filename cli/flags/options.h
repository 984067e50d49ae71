// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/flags/arguments.h"
#include "cli/flags/call_options.h"
#include "cli/flags/on_error.h"
#include "cli/report/progress_views.h"
#include "engine/lock_build.h"
#include "engine/request/request.h"

namespace cbuild::cli {

/// How much of the provenance a metadata file has: BUILDX_METADATA_PROVENANCE.
enum class MetadataProvenance { none, min, max };

/// A build as the command line and the environment have it, checked; of the files it names, those that are given to a
/// build unseen (secrets, keys) are there.
struct BuildLine {
  std::string root;           ///< --root: the store; empty: the default
  std::string context = ".";  ///< as the user wrote it, and so in `request`
  std::string file;           ///< -f, likewise; empty: not given
  engine::BuildRequest request;
  ProgressMode progress = ProgressMode::automatic;
  std::string metadata_file, iid_file;
  std::string report_file;         ///< --report: the page of the build; empty: none
  bool metadata_warnings = false;  ///< --metadata-file has the findings of the checks
  MetadataProvenance metadata_provenance = MetadataProvenance::min;
  OnError on_error;
  bool loads_by_default = false;    ///< --default-load: its ids are the engine's
  std::optional<CallOptions> call;  ///< answer this instead of building
  std::vector<std::string> notes;   ///< flags without effect, to be shown
};

/// The flags of `cbuild bench`, in addition to those of a build.
struct BenchOptions {
  unsigned runs = 3;
  std::string edit;  ///< file of the context to change for the edit run; empty: the smallest one that a COPY reads
  bool json = false;
};

struct BenchLine {
  BuildLine line;
  BenchOptions bench;
};

/// The flags of `cbuild graph`, in addition to those of a build: the graph is that of a Dockerfile if a context or -f
/// was given, else of a build of the history.
struct GraphLine {
  BuildLine line;
  bool of_dockerfile = false;
  std::string build, format = "dot";
};

/// The flags of `cbuild lock`, in addition to those of a build.
struct LockLine {
  BuildLine line;
  engine::LockPlan plan;
};

/// Parse the words behind the command's name. Throw Error{usage}; nullopt when help or the version was asked for and is
/// printed.
std::optional<BuildLine> parse_build_line(Arguments arguments);
std::optional<BenchLine> parse_bench_line(Arguments arguments);
std::optional<GraphLine> parse_graph_line(Arguments arguments);
std::optional<LockLine> parse_lock_line(Arguments arguments);

}  // namespace cbuild::cli
