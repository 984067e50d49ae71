// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags.h"
#include "cli/step_limits.h"
#include "cli/target_outputs.h"
#include "exporter/destination.h"

namespace cbuild::cli {
namespace {

/// What CLI11 fills before it is checked and converted.
struct Raw {
  std::vector<std::string> targets, tags, build_args, labels, build_contexts, annotations, outputs, cache_to,
      cache_from;
  std::vector<std::string> secrets, ssh, ulimits, add_hosts, resources, transfer_limits;
  std::string platform, arg_keys = "all", progress = "auto", shm_size, pull_policy, step_timeout, call = "build";
  bool push = false, load = false, quiet = false, check = false;
};

[[noreturn]] void usage(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

/// "K=V", or "K" alone, which takes the value of the environment and is dropped when it has none.
void add_pairs(const std::vector<std::string>& from, const std::string& flag, bool from_environment,
               std::map<std::string, std::string>& to) {
  for (const std::string& text : from) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || text.empty()) usage(cat(flag, ": '", text, "' has no name"));
    if (equals != std::string::npos) {
      to[text.substr(0, equals)] = text.substr(equals + 1);
    } else if (!from_environment) {
      to[text] = "";
    } else if (const char* value = std::getenv(text.c_str())) {
      to[text] = value;
    }
  }
}

std::map<std::string, std::string> csv(const std::string& text, const std::string& flag) {
  std::map<std::string, std::string> fields;
  for (const std::string& field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos) usage(cat(flag, ": '", field, "' is not key=value"));
    fields[field.substr(0, equals)] = field.substr(equals + 1);
  }
  return fields;
}

SecretOption parse_secret(const std::string& text) {
  SecretOption secret;
  std::string type;
  for (const auto& [key, value] : csv(text, "--secret")) {
    if (key == "id")
      secret.id = value;
    else if (key == "src" || key == "source")
      secret.file = value;
    else if (key == "env")
      secret.env = value;
    else if (key == "type")
      type = value;
    else if (key == "cache" && (value == "hash" || value == "none"))
      secret.hashed = value == "hash";
    else if (key == "cache")
      usage(cat("--secret: cache=", value, " is unknown"), "hash (a changed value runs the steps again) or none");
    else
      usage(cat("--secret: unknown key '", key, "'"), "keys: id, src, env, type, cache");
  }
  if (secret.id.empty())
    usage("--secret: id is required", "--secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE");
  if (!type.empty() && type != "file" && type != "env")
    usage(cat("--secret: unknown type '", type, "'"), "file or env");
  if (type == "env" && secret.env.empty()) secret.env = std::exchange(secret.file, "");
  if (secret.env.empty() && secret.file.empty()) {
    if (type != "file" && std::getenv(secret.id.c_str()))
      secret.env = secret.id;
    else
      secret.file = secret.id;
  }
  return secret;
}

SshOption parse_ssh(const std::string& text) {
  const std::size_t equals = text.find('=');
  SshOption ssh{text.substr(0, equals), equals == std::string::npos ? std::string() : text.substr(equals + 1)};
  if (ssh.socket.empty())
    if (const char* agent = std::getenv("SSH_AUTH_SOCK")) ssh.socket = agent;
  if (ssh.socket.empty()) usage(cat("--ssh ", text, ": no agent"), "start ssh-agent, or give --ssh ID=SOCKET");
  return ssh;
}

solver::Ulimit parse_ulimit(const std::string& text) {
  const auto parts = split(text, '=');
  const auto limits = parts.size() == 2 ? split(parts[1], ':') : std::vector<std::string>{};
  const auto soft = limits.empty() ? std::nullopt : parse_int(limits[0]);
  const auto hard = limits.size() == 2 ? parse_int(limits[1]) : soft;
  if (!soft || !hard || limits.size() > 2) usage(cat("--ulimit: '", text, "' is not NAME=SOFT[:HARD]"));
  return {parts[0], *soft, *hard};
}

ProgressMode parse_progress(const std::string& name) {
  static const std::map<std::string, ProgressMode> modes = {
      {"auto", ProgressMode::automatic}, {"tty", ProgressMode::tty},    {"plain", ProgressMode::plain},
      {"quiet", ProgressMode::quiet},    {"none", ProgressMode::quiet}, {"rawjson", ProgressMode::rawjson}};
  const auto mode = modes.find(name);
  if (mode == modes.end()) usage(cat("--progress: unknown mode '", name, "'"), "auto, tty, plain, quiet or rawjson");
  return mode->second;
}

PullPolicy parse_pull(const Raw& raw) {
  if (raw.pull_policy == "always" || raw.pull_policy == "true") return PullPolicy::always;
  if (raw.pull_policy.empty() || raw.pull_policy == "missing" || raw.pull_policy == "false") return PullPolicy::missing;
  if (raw.pull_policy == "never") return PullPolicy::never;
  usage(cat("--pull: unknown policy '", raw.pull_policy, "'"), "always, missing or never");
}

void convert_outputs(const Raw& raw, BuildOptions& build) {
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  for (const std::string& text : raw.outputs) build.outputs.push_back(exporter::parse_output(text, terminal));
  if (raw.load) build.outputs.push_back(exporter::parse_output("type=docker", false));
  bool pushed = !raw.push;
  for (exporter::Output& output : build.outputs) {
    if (!raw.push || output.type != exporter::OutputType::image) continue;
    output.push = pushed = true;
  }
  exporter::Output image = exporter::parse_output("type=image", false);
  image.push = raw.push;
  if (!pushed) build.outputs.push_back(image);
  build.targets = parse_targets(raw.targets);
  build.outputs = spread_outputs(build.outputs, raw.tags, build.targets, image);
  const bool may_delete = std::erase(build.allow, exporter::kLocalDelete) > 0;
  std::vector<exporter::Annotation> annotations;
  for (const std::string& text : raw.annotations)
    for (exporter::Annotation& annotation : exporter::parse_annotation(text)) annotations.push_back(annotation);
  for (exporter::Output& output : build.outputs) {
    check_destination(output, may_delete);
    output.annotations.insert(output.annotations.end(), annotations.begin(), annotations.end());
    if (makes_image(output))
      check_annotations(output.annotations, build.platform.value_or(oci::host_platform()), output.oci_media_types);
    if (!output.push || !output.names.empty()) continue;
    const std::string target = build.targets.size() > 1 ? cat(output.target, "=") : "";
    usage(target.empty() ? "a push needs a name" : cat("a push of target ", output.target, " needs a name"),
          cat("add -t ", target, "REGISTRY/REPOSITORY:TAG"));
  }
}

void convert_caches(const Raw& raw, BuildOptions& build) {
  for (const std::string& text : raw.cache_to) build.cache_to.push_back(exporter::parse_cache_to(text));
  for (const std::string& text : raw.cache_from) build.cache_from.push_back(exporter::parse_cache_from(text));
  // As the reference's client has it.
  const auto wanted = build.build_args.find("BUILDKIT_INLINE_CACHE");
  if (wanted != build.build_args.end() && (wanted->second == "1" || wanted->second == "true"))
    build.cache_to.push_back(exporter::parse_cache_to("type=inline"));
}

void convert(const Raw& raw, BuildOptions& build) {
  add_pairs(raw.build_args, "--build-arg", true, build.build_args);
  build.call = parse_call(raw.check ? "check" : raw.call);
  add_pairs(raw.labels, "--label", false, build.labels);
  add_pairs(raw.build_contexts, "--build-context", false, build.build_contexts);
  for (const std::string& text : raw.secrets) build.secrets.push_back(parse_secret(text));
  for (const std::string& text : raw.ssh) build.ssh.push_back(parse_ssh(text));
  for (const std::string& text : raw.ulimits) build.ulimits.push_back(parse_ulimit(text));
  for (const std::string& text : raw.add_hosts) build.extra_hosts.push_back(parse_extra_host(text));
  for (const std::string& text : build.allow) check_entitlement(text);
  for (const std::string& text : raw.resources) add_resources(text, build.resources);
  if (!raw.step_timeout.empty()) build.step_timeout_ns = parse_step_timeout(raw.step_timeout);
  if (!raw.platform.empty()) {
    build.platform = oci::parse_platform(raw.platform);
    if (!build.platform) usage(cat("--platform: unknown platform '", raw.platform, "'"), "for example linux/arm64");
  }
  if (!raw.shm_size.empty()) {
    const auto size = parse_size(raw.shm_size);
    if (!size) usage(cat("--shm-size: '", raw.shm_size, "' is not a size"), "for example 128m");
    build.shm_size = *size;
  }
  if (!build.network.empty() && build.network != "default" && build.network != "host" && build.network != "none")
    usage(cat("--network: unknown mode '", build.network, "'"), "default, host or none");
  build.transfer_limits = oci::registry::transfer_limits_of_environment();
  for (const std::string& text : raw.transfer_limits)
    oci::registry::set_transfer_limits(text, "--transfer-limits", build.transfer_limits);
  convert_caches(raw, build);
  build.progress = raw.quiet ? ProgressMode::quiet : parse_progress(raw.progress);
  build.pull = parse_pull(raw);
  if (raw.arg_keys != "all" && raw.arg_keys != "used")
    usage(cat("--arg-keys: unknown value '", raw.arg_keys, "'"), "all or used");
  build.only_used_args = raw.arg_keys == "used";
  convert_outputs(raw, build);
}

void add_input_flags(CLI::App& app, BuildOptions& build, Raw& raw) {
  app.add_option("context", build.context, "Directory that COPY and ADD read from")->type_name("CONTEXT");
  app.add_option("-f,--file", build.file, "Dockerfile (default: CONTEXT/Dockerfile, - for stdin)");
  app.add_option("--target", raw.targets,
                 "Stage to build (default: the last one); repeated or with commas: several in one build")
      ->allow_extra_args(false);
  app.add_option("--build-arg", raw.build_args, "NAME=VALUE, or NAME to take it from the environment")
      ->allow_extra_args(false);
  app.add_option("--build-context", raw.build_contexts,
                 "NAME=SOURCE: more contexts (a directory, oci-layout://, docker-image://)")
      ->allow_extra_args(false);
  app.add_option("--label", raw.labels, "NAME=VALUE to add to the image's labels")->allow_extra_args(false);
  app.add_option("--platform", raw.platform, "Platform of the result (default: this machine's)");
  app.add_option("--secret", raw.secrets,
                 "id=NAME[,src=FILE|,env=VARIABLE][,cache=hash]: secret for RUN --mount=type=secret")
      ->allow_extra_args(false);
  app.add_option("--ssh", raw.ssh, "default or ID=SOCKET: agent for RUN --mount=type=ssh")->allow_extra_args(false);
}

void add_step_flags(CLI::App& app, BuildOptions& build, Raw& raw) {
  app.add_option("--network", build.network, "Network of RUN steps: default (the host's), host, none");
  app.add_option("--add-host", raw.add_hosts, "HOST:IP for the hosts file of RUN steps")->allow_extra_args(false);
  app.add_option("--dns", build.dns, "Name server for RUN steps instead of the host's")->allow_extra_args(false);
  app.add_option("--allow", build.allow,
                 "Entitlement: network.host, security.insecure, device[=NAME], buildx.local.delete")
      ->allow_extra_args(false);
  app.add_option("--shm-size", raw.shm_size, "Size of /dev/shm in RUN steps");
  app.add_option("--ulimit", raw.ulimits, "NAME=SOFT[:HARD] for RUN steps")->allow_extra_args(false);
  app.add_option("--cgroup-parent", build.cgroup_parent, "Parent cgroup of RUN steps");
  app.add_option("--cdi-dir", build.cdi_directories,
                 "Directory of CDI device files instead of /etc/cdi and /var/run/cdi")
      ->allow_extra_args(false);
  app.add_option("--resource", raw.resources,
                 "KEY=VALUE limit for RUN steps: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, "
                 "cpuset-mems")
      ->allow_extra_args(false);
  app.add_option("--step-timeout", raw.step_timeout, "Time limit for a RUN without --timeout, for example 10m");
  app.add_option("--step-retry", build.step_retries, "Further tries for a failed RUN without --retry")
      ->check(CLI::Range(0, 100));
  app.add_option("--isolation", build.isolation, "Force a sandbox mode: root, user-namespace, masked-proc, chroot");
  app.add_option("-j,--jobs", build.jobs, "Steps that run at once (default: 4 per core, at least 16)");
}

void add_cache_flags(CLI::App& app, BuildOptions& build, Raw& raw) {
  app.add_flag("--no-cache", build.no_cache, "Run every step again");
  app.add_option("--arg-keys", raw.arg_keys,
                 "Which ARGs are part of a RUN's key: all, or used: those its text can be seen to use");
  app.add_option("--no-cache-filter", build.no_cache_filter,
                 "STAGE or STAGE:LINE,...: stages or single instructions to run again")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--cache-from", raw.cache_from,
                 "REF or type=registry|local,...: remote cache to take results from; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--cache-to", raw.cache_to, "type=registry|local|inline,...: remote cache to put the results in")
      ->allow_extra_args(false);
  app.add_option("--pull", raw.pull_policy,
                 "Ask for newer base images: --pull or --pull=always; also =missing, =never");
}

void add_output_flags(CLI::App& app, BuildOptions& build, Raw& raw) {
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
  app.add_option("--metadata-file", build.metadata_file, "Write digests and names of the result as JSON");
  app.add_option("--iidfile", build.iid_file, "Write the image's config digest");
  app.add_option("--insecure-registry", build.insecure_registries, "HOST[:PORT] to reach without verified TLS")
      ->allow_extra_args(false);
  app.add_option("--transfer-limits", raw.transfer_limits,
                 "connect=TIME,answer=TIME,window=TIME,rate=BYTES: how slow registries and servers may be")
      ->allow_extra_args(false);
  app.add_option("--authfile", build.auth_file, "Registry credentials instead of docker's and podman's files");
  app.add_option("--progress", raw.progress, "auto, tty, plain, quiet, rawjson");
  app.add_flag("-q,--quiet", raw.quiet, "Print only the image's digest");
  app.add_flag("-D,--debug", build.debug, "Say more about what is done and why");
}

void add_call_flags(CLI::App& app, Raw& raw) {
  app.add_option("--call", raw.call,
                 "Tell about the Dockerfile instead of building it: check, outline, targets[,format=json]");
  app.add_flag("--check", raw.check,
               "The same as --call=check: run the build checks, exit with 1 if one has a warning");
}

void add_build_flags(CLI::App& app, BuildOptions& build, Raw& raw) {
  add_input_flags(app, build, raw);
  add_step_flags(app, build, raw);
  add_cache_flags(app, build, raw);
  add_output_flags(app, build, raw);
  add_call_flags(app, raw);
}

// A bare --pull is a flag, as docker has it; CLI11 would take the next word for its value.
Arguments with_plain_pull(Arguments arguments) {
  for (std::string& argument : arguments)
    if (argument == "--pull") argument = "--pull=always";
  return arguments;
}

/// The flags of a build, for commands that may have more of them.
class BuildFlags {
 public:
  BuildFlags(const char* description, const char* name, BuildLine& line) : app(description, name), line_(line) {
    add_build_flags(app, line.build, raw_);
    app.footer(
        "cbuild help lists the other commands. Exit codes: 0 built, 1 build failed, 2 wrong usage, 3 output or push "
        "failed,\n"
        "4 internal, 130 interrupted.");
  }

  /// As parse_flags().
  bool parse(Arguments arguments) {
    if (!parse_flags(app, line_.root, with_plain_pull(std::move(arguments)))) return false;
    convert(raw_, line_.build);
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
  BuildFlags flags("Draw the steps of a build: of the last one, or of a Dockerfile with what would be cached",
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
