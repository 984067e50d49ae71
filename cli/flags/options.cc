// SPDX-License-Identifier: Apache-2.0
//
// A build's command line in two passes: CLI11 fills Raw and the request, then convert() checks and parses the rest and
// adds the environment (environment.cc). Each group of --help has a function; manual pages and completions come from
// the same declarations.
#include "cli/flags/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags/again.h"
#include "cli/flags/docker_engine.h"
#include "cli/flags/environment.h"
#include "cli/flags/flag_words.h"
#include "cli/flags/flags.h"
#include "cli/flags/legacy_flags.h"
#include "cli/flags/option_values.h"
#include "cli/flags/secrets.h"
#include "cli/flags/sign_options.h"
#include "cli/flags/step_limits.h"
#include "cli/flags/target_outputs.h"
#include "exporter/attested_image.h"
#include "exporter/destination.h"
#include "oci/reference.h"
#include "sandbox/confine/security_options.h"

namespace cbuild::cli {
namespace {

/// Values that CLI11 fills before they are checked and converted.
struct Raw {
  std::vector<std::string> targets, tags, build_args, labels, build_contexts, annotations, outputs, cache_to,
      cache_from;
  std::vector<std::string> secrets, ssh, ulimits, add_hosts, resources, platforms, attests, no_cache_filter, allow, dns,
      allow_net, ca_certs, transfer_limits, cap_add, cap_drop, security_opts;
  std::string arg_keys = "all", progress = "auto", shm_size, pull_policy, step_timeout, call = "build", isolation, sbom,
              provenance, sync, on_error, sign, signature_policy, lock;
  bool push = false, load = false, default_load = false, quiet = false;
  LegacyFlags legacy;
};

constexpr char kNoLock[] = "none";  ///< the value of --lock

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
      {"quiet", ProgressMode::quiet},    {"none", ProgressMode::quiet}, {"rawjson", ProgressMode::rawjson},
      {"events", ProgressMode::events}};
  const auto mode = modes.find(name);
  if (mode == modes.end())
    usage(cat("--progress: unknown mode '", name, "'"), "auto, tty, plain, quiet, rawjson or events");
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

/// Of an image.
bool has_attestations(const supply::AttestationSettings& settings, const exporter::Output& output) {
  if (!makes_image(output)) return false;
  return settings.sbom || (settings.provenance && (output.attestation_inline || !settings.provenance->inline_only));
}

/// As the docker driver of buildx has it: an image that is not pushed and not a file goes into the engine. It is kept
/// in the store as well, where the next build finds it by its name.
void add_engine_outputs(std::vector<exporter::Output>& outputs) {
  using exporter::OutputType;
  if (outputs.empty()) outputs.push_back(exporter::parse_output("type=image", false));
  std::vector<exporter::Output> out;
  for (const exporter::Output& output : outputs) {
    const bool kept = output.type == OutputType::image && !output.push;
    const bool loaded = output.type == OutputType::docker && output.dest.empty();
    out.push_back(output);
    if (!kept && !loaded) continue;
    out.back().type = OutputType::image;
    out.push_back(output);
    out.back().type = OutputType::docker;
  }
  outputs = std::move(out);
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
  if (raw.default_load) add_engine_outputs(outputs);
  outputs = spread_outputs(outputs, raw.tags, targets, image);
  const bool may_delete = std::erase(request.steps.allow, exporter::kLocalDelete) > 0;
  std::vector<exporter::Annotation> annotations;
  for (const std::string& text : not_empty(raw.annotations))
    for (exporter::Annotation& annotation : exporter::parse_annotation(text)) annotations.push_back(annotation);
  for (exporter::Output& output : outputs) {
    if (output.type == exporter::OutputType::docker && output.dest.empty())
      output.engine = docker_engine(output.engine_context);
    check_destination(output, may_delete);
    output.annotations.insert(output.annotations.end(), annotations.begin(), annotations.end());
    const bool attested = has_attestations(request.outputs.attestations, output);
    if (attested) check_attestable(output);
    if (!output.oci_artifact && has_no_default_artifact()) output.oci_artifact = false;
    if (makes_image(output))
      check_annotations(output.annotations,
                        {.platforms = wanted_platforms(request.inputs),
                         .index = is_multi_platform(request.inputs) || (attested && !output.referrers),
                         .oci_media_types = output.oci_media_types});
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

void convert_signatures(const Raw& raw, engine::BuildRequest& request) {
  if (!raw.signature_policy.empty()) request.sources.signatures = read_signature_policy(raw.signature_policy);
  if (raw.sign.empty()) return;
  const std::vector<exporter::Output>& outputs = request.outputs.list;
  if (std::none_of(outputs.begin(), outputs.end(), [](const exporter::Output& output) { return output.push; }))
    usage("--sign: nothing is pushed", "add --push, or type=image,push=true to --output");
  request.outputs.signer = parse_sign(raw.sign);
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

/// A cache that this machine cannot have is left out, not an error.
void leave_out_caches(std::vector<cache::CacheSpec>& specs, std::vector<std::string>& notes) {
  std::erase_if(specs, [&](const cache::CacheSpec& spec) {
    const std::string why = cache::why_left_out(spec);
    if (!why.empty() && std::find(notes.begin(), notes.end(), why) == notes.end()) notes.push_back(why);
    return !why.empty();
  });
}

void convert_caches(const Raw& raw, engine::BuildRequest& request, std::vector<std::string>& notes) {
  for (const std::string& text : cache_values(raw.cache_to)) request.caches.to.push_back(cache::parse_cache_to(text));
  for (const std::string& text : cache_values(raw.cache_from))
    request.caches.from.push_back(cache::parse_cache_from(text));
  leave_out_caches(request.caches.to, notes);
  leave_out_caches(request.caches.from, notes);
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
  for (const std::string& file : not_empty(raw.ca_certs)) steps.ca_certificates += read_ca_certificates(file);
  steps.dns = not_empty(raw.dns);
  for (const std::string& text : steps.dns) check_dns(text);
  steps.allow = not_empty(raw.allow);
  for (const std::string& text : steps.allow) check_entitlement(text);
  steps.allowed_hosts = parse_allowed_hosts(raw.allow_net, steps.network);
  if (!steps.allowed_hosts.empty()) steps.network = "sandbox";
  steps.network = network_or_default(steps.network);
  check_network(steps.network);
  steps.security = sandbox::confine::parse_security({raw.cap_add, raw.cap_drop, raw.security_opts});
  check_entitled(steps.security, steps.allow);
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
  request.inputs.platforms = parse_platforms(platforms_or_default(raw.platforms));
  request.outputs.attestations = to_attestations(raw.attests, raw.sbom, raw.provenance, request.inputs.build_args);
  request.sources.transfer_limits = http::transfer_limits_of_environment();
  for (const std::string& text : raw.transfer_limits)
    http::set_transfer_limits(text, "--transfer-limits", request.sources.transfer_limits);
  std::vector<std::string> cache_notes;
  convert_caches(raw, request, cache_notes);
  line.progress = raw.quiet ? ProgressMode::quiet : parse_progress(progress_or_default(raw.progress));
  request.sources.pull = parse_pull(raw);
  if (raw.arg_keys != "all" && raw.arg_keys != "used")
    usage(cat("--arg-keys: unknown value '", raw.arg_keys, "'"), "all or used");
  request.caches.only_used_args = raw.arg_keys == "used";
  request.caches.ignored = not_empty(raw.no_cache_filter);
  convert_outputs(raw, request);
  convert_signatures(raw, request);
  check_id_file(line);
  line.on_error = parse_on_error(raw.on_error, isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0);
  line.notes = raw.legacy.notes();
  line.notes.insert(line.notes.end(), cache_notes.begin(), cache_notes.end());
  std::vector<std::string> told;
  request.sync = parse_sync(sync_or_default(raw.sync, told));
  if (request.tell_isolation) line.notes.insert(line.notes.end(), told.begin(), told.end());
  apply_environment(line);
  request.inputs.context = to_context(line.context);
  request.inputs.dockerfile = to_dockerfile(line.file);
  if (!raw.lock.empty()) request.inputs.lock_file = raw.lock == kNoLock ? "" : raw.lock;
  request.outputs.every_image = !line.iid_file.empty() || !line.metadata_file.empty();
  line.loads_by_default = raw.default_load;
  request.outputs.engine_ids = line.progress == ProgressMode::quiet || !line.iid_file.empty() || raw.default_load;
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
  app.add_option("--lock", raw.lock,
                 "Lock file that pins the sources (default: DOCKERFILE.lock, if there is one); or none")
      ->type_name("FILE");
  app.add_option("--label", raw.labels, "NAME=VALUE to add to the image's labels")->allow_extra_args(false);
  app.add_option("--platform", raw.platforms,
                 "Platform of the result (default: this machine's); repeated or with commas: several under one index")
      ->allow_extra_args(false);
  app.add_option("--secret", raw.secrets,
                 "id=NAME[,src=FILE|,env=VARIABLE][,cache=hash]: secret for RUN --mount=type=secret")
      ->allow_extra_args(false);
  app.add_option("--ssh", raw.ssh, "default, ID=SOCKET or ID=KEYFILE: agent or keys for RUN --mount=type=ssh")
      ->allow_extra_args(false);
}

void add_step_flags(CLI::App& app, engine::StepSettings& steps, Raw& raw) {
  app.add_option("--network", steps.network,
                 "Network of RUN steps: host, none, sandbox (its own, reaching outside), a CNI network (default: "
                 "$CBUILD_NETWORK, host)");
  app.add_option("--allow-net", raw.allow_net,
                 "HOST[:PORT], *.DOMAIN[:PORT] or ADDRESS[/BITS][:PORT], with commas: RUN steps connect to these only")
      ->type_name("HOST")
      ->allow_extra_args(false);
  app.add_option("--ca-cert", raw.ca_certs, "PEM file of certificate authorities that RUN steps trust, too")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--add-host", raw.add_hosts, "HOST:IP for the hosts file of RUN steps")->allow_extra_args(false);
  app.add_option("--dns", raw.dns, "Name server for RUN steps instead of the host's")->allow_extra_args(false);
  app.add_option(
         "--allow", raw.allow,
         "Entitlement: network.host, security.insecure, device[=NAME], security.capabilities, security.seccomp, "
         "security.apparmor, security.label")
      ->allow_extra_args(false);
  app.add_option("--cap-add", raw.cap_add, "Capability for RUN steps, or ALL; needs --allow security.capabilities")
      ->allow_extra_args(false);
  app.add_option("--cap-drop", raw.cap_drop, "Capability that RUN steps do not get, or ALL")->allow_extra_args(false);
  app.add_option("--security-opt", raw.security_opts,
                 "For RUN steps: seccomp=FILE|unconfined, apparmor=PROFILE|unconfined, label=..., no-new-privileges")
      ->allow_extra_args(false);
  app.add_option("--shm-size", raw.shm_size, "Size of /dev/shm in RUN steps")->type_name("SIZE");
  app.add_option("--ulimit", raw.ulimits, "NAME=SOFT[:HARD] for RUN steps")->allow_extra_args(false);
  app.add_flag("--mask-secrets", steps.mask_secrets,
               "Replace values of secrets in the output of RUN steps by *** (default: true; --mask-secrets=false)");
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
  app.add_option("--runtime", steps.runtime,
                 "OCI runtime for RUN steps instead of the built-in sandbox: runc, or a path");
  app.add_option("--on-error", raw.on_error,
                 "What to do in a RUN that failed: shell (enter it), or export=DIR (write the files it changed)");
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
                 "REF or type=registry|local|s3|azblob|gha,...: remote cache to take results from; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--cache-to", raw.cache_to,
                 "REF or type=registry|local|inline|s3|azblob|gha,...: remote cache to put the results in")
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
  app.add_flag("--default-load", raw.default_load,
               "Load the image into the docker engine unless it is pushed or has another place, as docker build does");
  app.add_option("--annotation", raw.annotations,
                 "[LEVEL:]NAME=VALUE for the image: manifest (default), manifest-descriptor")
      ->allow_extra_args(false);
  app.add_option("--metadata-file", line.metadata_file, "Write digests and names of the result as JSON");
  app.add_option("--report", line.report_file, "Write a page of the build: timeline, graph, reasons, logs, layers");
  app.add_option("--iidfile", line.iid_file, "Write the id of the image, as docker run takes it");
}

void add_progress_flags(CLI::App& app, BuildLine& line, Raw& raw) {
  app.add_option("--progress", raw.progress, "Way to show progress: auto, tty, plain, quiet, rawjson, events");
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
  app.add_option("--signature-policy", raw.signature_policy,
                 "containers-policy.json: which base images need a signature, by which key")
      ->type_name("FILE");
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

void add_signature_flags(CLI::App& app, Raw& raw) {
  app.add_option("--sign", raw.sign,
                 "key=FILE or key=env://NAME: sign pushed images with a private key, as cosign does");
}

void add_attestation_flags(CLI::App& app, Raw& raw) {
  app.add_option(
         "--attest", raw.attests,
         "type=provenance[,mode=min|max,version=v1|v0.2,...] or type=sbom[,generator=IMAGE,...]: a document about "
         "the image")
      ->allow_extra_args(false);
  app.add_option("--provenance", raw.provenance,
                 "true, false or KEY=VALUE,...: short for --attest type=provenance,...");
  app.add_option("--sbom", raw.sbom, "true, false or KEY=VALUE,...: short for --attest type=sbom,...");
}

/// In the groups and the order of --help.
void add_build_flags(CLI::App& app, BuildLine& line, Raw& raw) {
  app.option_defaults()->group("Input");
  add_input_flags(app, line, raw);
  add_call_flags(app, raw);
  app.option_defaults()->group("Output");
  add_output_flags(app, line, raw);
  add_attestation_flags(app, raw);
  add_signature_flags(app, raw);
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
    if (!parse_flags(app, line_.root, arguments)) return false;
    convert(raw_, line_);
    line_.request.again = again_text(plain_words(app, arguments), std::filesystem::current_path().string());
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

std::optional<LockLine> parse_lock_line(Arguments arguments) {
  LockLine lock;
  BuildFlags flags("Pin the images, URLs and repositories of a Dockerfile by digest in a lock file", "cbuild lock",
                   lock.line);
  const auto add_name = [&lock](const std::string& name) {
    if (name == "true")
      lock.plan.update_all = true;
    else
      lock.plan.update.push_back(name);
  };
  flags.app
      .add_option_function<std::string>(
          "--update", add_name, "Take what a source is now, for example --update=alpine:3.20; without a name all")
      ->expected(0, 1)
      ->trigger_on_parse()
      ->group("Flags");
  flags.app.remove_option(flags.app.get_option("--check"));  // a build's has another meaning
  flags.app
      .add_flag("--check", lock.plan.check, "Say which sources are something else now; exit with 1 if there is one")
      ->group("Flags");
  if (!flags.parse(std::move(arguments))) return std::nullopt;
  const auto& file = lock.line.request.inputs.lock_file;
  if (file && file->empty()) usage("--lock=none: cbuild lock needs a file");
  if (lock.plan.check && (lock.plan.update_all || !lock.plan.update.empty()))
    usage("--check and --update do not go together");
  return lock;
}

}  // namespace cbuild::cli
