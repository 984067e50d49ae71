// SPDX-License-Identifier: Apache-2.0
//
// A build's command line in two passes: CLI11 fills Raw and the request, then convert() checks and parses the rest and
// adds the environment (environment.cc). Each group of --help has a function; manual pages and completions come from
// the same declarations.
#include "cli/flags/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags/environment.h"
#include "cli/flags/flags.h"
#include "cli/flags/legacy_flags.h"
#include "cli/flags/option_values.h"
#include "cli/flags/secrets.h"
#include "cli/flags/step_limits.h"
#include "cli/flags/target_outputs.h"
#include "exporter/destination.h"
#include "oci/reference.h"

namespace cbuild::cli {
namespace {

/// Values that CLI11 fills before they are checked and converted.
struct Raw {
  std::vector<std::string> targets, tags, build_args, labels, build_contexts, annotations, outputs, cache_to,
      cache_from;
  std::vector<std::string> secrets, ssh, ulimits, add_hosts, resources, platforms, attests, no_cache_filter, allow, dns,
      transfer_limits;
  std::string arg_keys = "all", progress = "auto", shm_size, pull_policy, step_timeout, call = "build", isolation, sbom,
              provenance, sync;
  bool push = false, load = false, quiet = false;
  LegacyFlags legacy;
};

[[noreturn]] void usage(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

std::vector<std::string> not_empty(std::vector<std::string> values) {
  std::erase(values, "");
  return values;
}

ProgressMode parse_progress(const std::string& name) {
  static const std::map<std::string, ProgressMode> modes = {
      {"auto", ProgressMode::automatic}, {"tty", ProgressMode::tty},    {"plain", ProgressMode::plain},
      {"quiet", ProgressMode::quiet},    {"none", ProgressMode::quiet}, {"rawjson", ProgressMode::rawjson}};
  const auto mode = modes.find(name);
  if (mode == modes.end()) usage(cat("--progress: unknown mode '", name, "'"), "auto, tty, plain, quiet or rawjson");
  return mode->second;
}

engine::PullPolicy parse_pull(const Raw& raw) {
  if (raw.pull_policy == "always" || raw.pull_policy == "true") return engine::PullPolicy::always;
  if (raw.pull_policy.empty() || raw.pull_policy == "missing" || raw.pull_policy == "false")
    return engine::PullPolicy::missing;
  if (raw.pull_policy == "never") return engine::PullPolicy::never;
  usage(cat("--pull: unknown policy '", raw.pull_policy, "'"), "always, missing or never");
}

engine::Sync parse_sync(const std::string& name) {
  if (name == "end") return engine::Sync::end;
  if (name == "later") return engine::Sync::later;
  if (name == "none") return engine::Sync::none;
  usage(cat("--sync: unknown value '", name, "'"), "end, later or none");
}

void check_id_file(const BuildLine& line) {
  const std::vector<exporter::Output>& outputs = line.request.outputs.list;
  if (!line.iid_file.empty() && std::all_of(outputs.begin(), outputs.end(), exporter::makes_files))
    usage("--iidfile: an output of type=local or type=tar has no image id", "add an output that is an image");
}

void convert_outputs(const Raw& raw, engine::BuildRequest& request) {
  std::vector<exporter::Output>& outputs = request.outputs.list;
  const std::vector<std::string>& targets = request.inputs.targets = parse_targets(raw.targets);
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  for (const std::string& text : not_empty(raw.outputs)) outputs.push_back(exporter::parse_output(text, terminal));
  if (raw.load) outputs.push_back(exporter::parse_output("type=docker", false));
  bool pushed = !raw.push;
  for (exporter::Output& output : outputs) {
    if (!raw.push || !can_push(output)) continue;
    output.push = pushed = true;
  }
  exporter::Output image = exporter::parse_output("type=image", false);
  image.push = raw.push;
  if (!pushed) outputs.push_back(image);
  outputs = spread_outputs(outputs, raw.tags, targets, image);
  const bool may_delete = std::erase(request.steps.allow, exporter::kLocalDelete) > 0;
  std::vector<exporter::Annotation> annotations;
  for (const std::string& text : not_empty(raw.annotations))
    for (exporter::Annotation& annotation : exporter::parse_annotation(text)) annotations.push_back(annotation);
  for (exporter::Output& output : outputs) {
    check_destination(output, may_delete);
    output.annotations.insert(output.annotations.end(), annotations.begin(), annotations.end());
    if (makes_image(output))
      check_annotations(output.annotations, request.inputs.platform.value_or(oci::host_platform()),
                        output.oci_media_types);
    for (const std::string& name : output.names) check_name(raw.tags.empty() ? "--output" : "-t", name);
    if (output.insecure)
      for (const std::string& name : output.names)
        request.sources.insecure_registries.push_back(oci::parse_reference(name).registry);
    if (!output.push || !output.names.empty() || !output.dangling_prefix.empty()) continue;
    const std::string target = targets.size() > 1 ? cat(output.target, "=") : "";
    usage(target.empty() ? "a push needs a name" : cat("a push of target ", output.target, " needs a name"),
          cat("add -t ", target, "REGISTRY/REPOSITORY:TAG"));
  }
}

/// References may stand in one value, with commas.
std::vector<std::string> cache_values(const std::vector<std::string>& values) {
  std::vector<std::string> out;
  for (const std::string& value : not_empty(values)) {
    if (value.find('=') != std::string::npos) {
      out.push_back(value);
      continue;
    }
    for (const std::string& reference : split(value, ',')) out.push_back(reference);
  }
  return out;
}

void convert_caches(const Raw& raw, engine::BuildRequest& request) {
  for (const std::string& text : cache_values(raw.cache_to)) request.caches.to.push_back(cache::parse_cache_to(text));
  for (const std::string& text : cache_values(raw.cache_from))
    request.caches.from.push_back(cache::parse_cache_from(text));
  for (const auto* specs : {&request.caches.to, &request.caches.from})
    for (const cache::CacheSpec& spec : *specs)
      if (!spec.insecure_registry.empty()) request.sources.insecure_registries.push_back(spec.insecure_registry);
  // As BuildKit's client has it.
  const auto wanted = request.inputs.build_args.find("BUILDKIT_INLINE_CACHE");
  if (wanted != request.inputs.build_args.end() && (wanted->second == "1" || wanted->second == "true"))
    request.caches.to.push_back(cache::parse_cache_to("type=inline"));
}

void convert_sizes(const Raw& raw, engine::StepSettings& steps) {
  for (const std::string& text : raw.ulimits) steps.ulimits.push_back(parse_ulimit(text));
  steps.resources = raw.legacy.resources;
  for (const std::string& text : not_empty(raw.resources)) add_resources(text, steps.resources);
  if (!raw.step_timeout.empty()) steps.timeout_ns = parse_step_timeout(raw.step_timeout);
  if (raw.shm_size.empty()) return;
  const auto size = parse_size(raw.shm_size);
  if (!size) usage(cat("--shm-size: '", raw.shm_size, "' is not a size"), "for example 128m");
  steps.shm_size = *size;
}

/// The environment of the steps in addition to the Dockerfile.
void convert_steps(const Raw& raw, engine::StepSettings& steps) {
  for (const std::string& text : not_empty(raw.secrets)) steps.secrets.push_back(to_secret(parse_secret(text)));
  for (const std::string& text : not_empty(raw.ssh)) steps.ssh.push_back(parse_ssh(text));
  for (const std::string& text : raw.add_hosts)
    for (const std::string& host : not_empty(split(text, ','))) steps.extra_hosts.push_back(parse_extra_host(host));
  steps.agent_environment = agent_environment();
  steps.dns = not_empty(raw.dns);
  for (const std::string& text : steps.dns) check_dns(text);
  steps.allow = not_empty(raw.allow);
  for (const std::string& text : steps.allow) check_entitlement(text);
  if (!steps.network.empty() && steps.network != "default" && steps.network != "host" && steps.network != "none")
    usage(cat("--network: unknown mode '", steps.network, "'"), "default, host or none");
  steps.isolation = parse_isolation(raw.isolation);
  convert_sizes(raw, steps);
}

void convert(const Raw& raw, BuildLine& line) {
  engine::BuildRequest& request = line.request;
  if (line.context.empty()) usage("the build context is empty", "give a directory, for example .");
  add_pairs(raw.build_args, "--build-arg", true, request.inputs.build_args);
  line.call = parse_call(raw.call.empty() ? "build" : raw.call);
  add_pairs(raw.labels, "--label", false, request.inputs.labels);
  for (const std::string& text : not_empty(raw.build_contexts))
    if (text.find('=') == std::string::npos)
      usage(cat("--build-context: '", text, "' is not NAME=PLACE"),
            "for example base=../base or base=docker-image://alpine");
  add_pairs(not_empty(raw.build_contexts), "--build-context", false, request.inputs.named_contexts);
  convert_steps(raw, request.steps);
  request.inputs.platform = parse_platforms(platforms_or_default(raw.platforms));
  check_attestations(raw.attests, raw.sbom, raw.provenance);
  request.sources.transfer_limits = http::transfer_limits_of_environment();
  for (const std::string& text : raw.transfer_limits)
    http::set_transfer_limits(text, "--transfer-limits", request.sources.transfer_limits);
  convert_caches(raw, request);
  line.progress = raw.quiet ? ProgressMode::quiet : parse_progress(progress_or_default(raw.progress));
  request.sources.pull = parse_pull(raw);
  if (raw.arg_keys != "all" && raw.arg_keys != "used")
    usage(cat("--arg-keys: unknown value '", raw.arg_keys, "'"), "all or used");
  request.caches.only_used_args = raw.arg_keys == "used";
  request.caches.ignored = not_empty(raw.no_cache_filter);
  convert_outputs(raw, request);
  check_id_file(line);
  line.notes = raw.legacy.notes();
  std::vector<std::string> told;
  request.sync = parse_sync(sync_or_default(raw.sync, told));
  if (request.tell_isolation) line.notes.insert(line.notes.end(), told.begin(), told.end());
  apply_environment(line);
  request.inputs.context = to_context(line.context);
  request.inputs.dockerfile = to_dockerfile(line.file);
  request.outputs.every_image = !line.iid_file.empty() || !line.metadata_file.empty();
  request.outputs.engine_ids = line.progress == ProgressMode::quiet || !line.iid_file.empty();
}

void add_input_flags(CLI::App& app, BuildLine& line, Raw& raw) {
  app.add_option("context", line.context, "Directory that COPY and ADD read from")->type_name("CONTEXT");
  app.add_option("-f,--file", line.file, "Dockerfile (default: CONTEXT/Dockerfile, - for stdin)");
  app.add_option("--target", raw.targets,
                 "Stage to build (default: the last one); repeated or with commas: several in one build")
      ->allow_extra_args(false);
  app.add_option("--build-arg", raw.build_args, "NAME=VALUE, or NAME to take it from the environment")
      ->allow_extra_args(false);
  app.add_option("--build-context", raw.build_contexts,
                 "NAME=SOURCE: more contexts (a directory, oci-layout://, docker-image://)")
      ->allow_extra_args(false);
  app.add_option("--label", raw.labels, "NAME=VALUE to add to the image's labels")->allow_extra_args(false);
  app.add_option("--platform", raw.platforms, "Platform of the result (default: this machine's)")
      ->allow_extra_args(false);
  app.add_option("--secret", raw.secrets,
                 "id=NAME[,src=FILE|,env=VARIABLE][,cache=hash]: secret for RUN --mount=type=secret")
      ->allow_extra_args(false);
  app.add_option("--ssh", raw.ssh, "default, ID=SOCKET or ID=KEYFILE: agent or keys for RUN --mount=type=ssh")
      ->allow_extra_args(false);
}

void add_step_flags(CLI::App& app, engine::StepSettings& steps, Raw& raw) {
  app.add_option("--network", steps.network, "Network of RUN steps: default (the host's), host, none");
  app.add_option("--add-host", raw.add_hosts, "HOST:IP for the hosts file of RUN steps")->allow_extra_args(false);
  app.add_option("--dns", raw.dns, "Name server for RUN steps instead of the host's")->allow_extra_args(false);
  app.add_option("--allow", raw.allow, "Entitlement: network.host, security.insecure, device[=NAME]")
      ->allow_extra_args(false);
  app.add_option("--shm-size", raw.shm_size, "Size of /dev/shm in RUN steps")->type_name("SIZE");
  app.add_option("--ulimit", raw.ulimits, "NAME=SOFT[:HARD] for RUN steps")->allow_extra_args(false);
  app.add_option("--cgroup-parent", steps.cgroup_parent, "Parent cgroup of RUN steps");
  app.add_option("--cdi-dir", steps.cdi_directories,
                 "Directory of CDI device files instead of /etc/cdi and /var/run/cdi")
      ->type_name("DIRECTORY")
      ->allow_extra_args(false);
  app.add_option("--resource", raw.resources,
                 "KEY=VALUE limit for RUN steps: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, "
                 "cpuset-mems")
      ->allow_extra_args(false);
  app.add_option("--step-timeout", raw.step_timeout, "Time limit for a RUN without --timeout, for example 10m")
      ->type_name("DURATION");
  app.add_option("--step-retry", steps.retries, "Further tries for a failed RUN without --retry")
      ->check(CLI::Range(0, 100));
  app.add_option("--isolation", raw.isolation, "Force a sandbox mode: root, user-namespace, masked-proc, chroot");
  app.add_option("-j,--jobs", steps.jobs, "Steps that run at once (default: 4 per core, at least 16)");
}

void add_cache_flags(CLI::App& app, engine::CacheSettings& caches, Raw& raw) {
  app.add_flag("--no-cache", caches.none, "Run every step again");
  app.add_option("--arg-keys", raw.arg_keys,
                 "Which ARGs are part of a RUN's key: all, or used: those its text can be seen to use");
  app.add_option("--no-cache-filter", raw.no_cache_filter,
                 "STAGE or STAGE:LINE,...: stages or single instructions to run again")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--cache-from", raw.cache_from,
                 "REF or type=registry|local,...: remote cache to take results from; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--cache-to", raw.cache_to,
                 "REF or type=registry|local|inline,...: remote cache to put the results in")
      ->allow_extra_args(false);
  app.add_option("--pull", raw.pull_policy, "Ask for newer base images: --pull or --pull=always; also =missing, =never")
      ->expected(0, 1);
}

void add_output_flags(CLI::App& app, BuildLine& line, Raw& raw) {
  app.add_option("-t,--tag", raw.tags, "Name of the image (REGISTRY/REPOSITORY:TAG); TARGET=NAME with several targets")
      ->allow_extra_args(false);
  app.add_option("-o,--output", raw.outputs,
                 "type=oci|docker|local|tar|image|registry[,dest=...], a directory, or - for a tar on stdout")
      ->allow_extra_args(false);
  app.add_flag("--push", raw.push, "Push the image under its names");
  app.add_flag("--load", raw.load, "Load the image into the docker engine");
  app.add_option("--annotation", raw.annotations,
                 "[LEVEL:]NAME=VALUE for the image: manifest (default), manifest-descriptor")
      ->allow_extra_args(false);
  app.add_option("--metadata-file", line.metadata_file, "Write digests and names of the result as JSON");
  app.add_option("--iidfile", line.iid_file, "Write the id of the image, as docker run takes it");
}

void add_progress_flags(CLI::App& app, BuildLine& line, Raw& raw) {
  app.add_option("--progress", raw.progress, "Way to show progress: auto, tty, plain, quiet, rawjson");
  app.add_flag("-q,--quiet", raw.quiet, "Print only the id of the image, as --iidfile has it");
  app.add_flag("-D,--debug", line.request.tell_isolation, "Print more details of the build");
}

void add_registry_flags(CLI::App& app, engine::SourceSettings& sources, Raw& raw) {
  app.add_option("--insecure-registry", sources.insecure_registries, "HOST[:PORT] to reach without verified TLS")
      ->type_name("HOST")
      ->allow_extra_args(false);
  app.add_option("--transfer-limits", raw.transfer_limits,
                 "connect=TIME,answer=TIME,window=TIME,rate=BYTES: how slow registries and servers may be")
      ->allow_extra_args(false);
  app.add_option("--authfile", sources.auth_file, "Registry credentials instead of docker's and podman's files");
}

/// The last one wins, whichever it is.
void add_call_flags(CLI::App& app, Raw& raw) {
  const auto ask = [&raw](const std::string& method) { raw.call = method; };
  app.add_option_function<std::string>(
         "--call", ask, "Tell about the Dockerfile instead of building it: check, outline, targets[,format=json]")
      ->trigger_on_parse();
  app.add_option_function<std::string>("--print", ask, "The old name of --call")->trigger_on_parse()->group("");
  app.add_flag_function(
         "--check",
         [&raw](std::int64_t wanted) {
           if (wanted > 0) raw.call = "check";
         },
         "The same as --call=check: run the build checks, exit with 1 if one has a warning")
      ->trigger_on_parse();
}

void add_attestation_flags(CLI::App& app, Raw& raw) {
  app.add_option("--attest", raw.attests, "type=sbom|provenance,disabled=true: attestations are not made")
      ->allow_extra_args(false)
      ->group("");
  app.add_option("--sbom", raw.sbom, "false: attestations are not made")->group("");
  app.add_option("--provenance", raw.provenance, "false: attestations are not made")->group("");
}

/// In the groups and the order of --help.
void add_build_flags(CLI::App& app, BuildLine& line, Raw& raw) {
  app.option_defaults()->group("Input");
  add_input_flags(app, line, raw);
  add_call_flags(app, raw);
  app.option_defaults()->group("Output");
  add_output_flags(app, line, raw);
  app.option_defaults()->group("Cache");
  add_cache_flags(app, line.request.caches, raw);
  app.option_defaults()->group("Steps");
  add_step_flags(app, line.request.steps, raw);
  app.option_defaults()->group("Progress");
  add_progress_flags(app, line, raw);
  app.option_defaults()->group("Global");
  add_registry_flags(app, line.request.sources, raw);
  app.add_option(
      "--sync", raw.sync,
      "When the store is made to survive a power loss: end (of the build), later, none (default: $CBUILD_SYNC, "
      "end)");
  app.option_defaults()->group("Flags");
  add_attestation_flags(app, raw);
  raw.legacy.add_to(app);
}

/// The flags of a build, for commands that may have more of them.
class BuildFlags {
 public:
  BuildFlags(const char* description, const char* name, BuildLine& line) : app(description, name), line_(line) {
    add_build_flags(app, line, raw_);
    app.footer(
        "cbuild help lists the other commands. Exit codes: 0 built, 1 build failed, 2 wrong usage, 3 output or push "
        "failed,\n"
        "4 internal, 130 interrupted.");
  }

  /// As parse_flags().
  bool parse(Arguments arguments) {
    if (!parse_flags(app, line_.root, std::move(arguments))) return false;
    convert(raw_, line_);
    return true;
  }

  CLI::App app;

 private:
  BuildLine& line_;
  Raw raw_;
};

}  // namespace

std::optional<BuildLine> parse_build_line(Arguments arguments) {
  BuildLine line;
  BuildFlags flags("cbuild turns a Dockerfile into an OCI image, without a daemon", "cbuild", line);
  if (!flags.parse(std::move(arguments))) return std::nullopt;
  return line;
}

std::optional<BenchLine> parse_bench_line(Arguments arguments) {
  BenchLine bench;
  BuildFlags flags("Measure cold, no-op and one-file-edit builds of a Dockerfile", "cbuild bench", bench.line);
  flags.app.add_option("--runs", bench.bench.runs, "Runs of each kind (default: 3)")->check(CLI::Range(1, 100));
  flags.app.add_option("--edit", bench.bench.edit, "File of the context to change for the edit runs");
  flags.app.add_flag("--json", bench.bench.json, "Print JSON instead of a table");
  if (!flags.parse(std::move(arguments))) return std::nullopt;
  return bench;
}

std::optional<GraphLine> parse_graph_line(Arguments arguments) {
  GraphLine graph;
  BuildFlags flags("Draw the steps of a build: of the last one, or of a Dockerfile with the steps that would be cached",
                   "cbuild graph", graph.line);
  CLI::App& app = flags.app;
  app.add_option("--build", graph.build, "Build of the history: id or its beginning, or ^N (default: the last one)");
  app.add_option("--format", graph.format, "dot, mermaid or json")->check(CLI::IsMember({"dot", "mermaid", "json"}));
  if (!flags.parse(std::move(arguments))) return std::nullopt;
  graph.of_dockerfile = app.count("context") > 0 || app.count("--file") > 0;
  if (graph.of_dockerfile && !graph.build.empty()) usage("graph: a context and --build exclude each other");
  return graph;
}

}  // namespace cbuild::cli
