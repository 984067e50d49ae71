// SPDX-License-Identifier: Apache-2.0
// Builds the targets of a bake run. A target becomes the words of a build's command line, so that each of its
// attributes means what the flag of the same name means. Targets are built one after the other, those first that others
// take as a context: their images are OCI layouts in a temporary directory, and the steps they have in common run once,
// because all builds share the store.
#include "cli/bake_build.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bake/names.h"
#include "base/error.h"
#include "base/files.h"
#include "base/output_file.h"
#include "base/process/interrupts.h"
#include "base/text.h"
#include "cli/bake_privileges.h"
#include "cli/call.h"
#include "cli/flags/options.h"
#include "cli/metadata.h"
#include "cli/report/exit_codes.h"
#include "cli/report/failure_text.h"
#include "cli/report/progress_views.h"
#include "cli/sync_command.h"
#include "engine/builder.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

using bake::Target;
using Targets = std::map<std::string, Target>;

constexpr std::string_view kTarget = "target:";

/// A field of a comma-separated value, quoted if it needs to be.
std::string csv_field(const std::string& key, const std::string& value) {
  const std::string field = cat(key, "=", value);
  if (field.find_first_of(",\"\n") == std::string::npos) return field;
  return cat("\"", replace_all(field, "\"", "\"\""), "\"");
}

std::string csv_text(const std::string& type, const bake::Attributes& attributes) {
  std::string out = csv_field("type", type);
  for (const auto& [key, value] : attributes) out += "," + csv_field(key, value);
  return out;
}

std::string csv_text(const bake::SecretEntry& secret) {
  std::string out = csv_field("id", secret.id);
  if (!secret.source.empty()) out += "," + csv_field("src", secret.source);
  if (!secret.environment.empty()) out += "," + csv_field("env", secret.environment);
  return out;
}

/// The words of one build.
class Words {
 public:
  void add(const std::string& flag, const std::string& value) { list.push_back(cat(flag, "=", value)); }
  void add(const std::string& flag, const std::optional<std::string>& value) {
    if (value && !value->empty()) add(flag, *value);
  }
  void add(const std::string& flag, const std::optional<bake::Strings>& values) {
    if (values)
      for (const std::string& value : *values) add(flag, value);
  }
  void add(const std::string& flag, const bake::Settings& settings) {
    for (const auto& [name, value] : settings)
      if (value) add(flag, cat(name, "=", *value));
  }

  Arguments list;
};

void add_resources(Words& words, const bake::ResourceLimits& limits) {
  const auto text = [&](const char* key, const std::optional<std::string>& value) {
    if (value) words.add("--resource", cat(key, "=", *value));
  };
  const auto number = [&](const char* key, const std::optional<std::int64_t>& value) {
    if (value) words.add("--resource", cat(key, "=", *value));
  };
  text("memory", limits.memory);
  text("memory-swap", limits.memory_swap);
  number("cpu-shares", limits.cpu_shares);
  number("cpu-period", limits.cpu_period);
  number("cpu-quota", limits.cpu_quota);
  text("cpuset-cpus", limits.cpuset_cpus);
  text("cpuset-mems", limits.cpuset_mems);
}

/// "cacheonly" is a build without an output, whose image has its names in the store.
void add_outputs(Words& words, const Target& target, bool default_load) {
  words.add("--tag", target.tags);
  words.add("--annotation", target.annotations);
  if (target.outputs)
    for (const bake::OutputEntry& output : *target.outputs) {
      bake::Attributes attributes = output.attributes;
      if (!output.destination.empty()) attributes["dest"] = output.destination;
      if (output.type != "cacheonly" || default_load) words.add("--output", csv_text(output.type, attributes));
    }
  if (!target.attest) return;
  for (const bake::Attestation& attestation : *target.attest) {
    bake::Attributes attributes = attestation.attributes;
    if (attestation.disabled) attributes["disabled"] = "true";
    words.add("--attest", csv_text(attestation.type, attributes));
  }
}

void add_caches(Words& words, const Target& target) {
  for (const auto& [flag, caches] :
       {std::pair{"--cache-from", &target.cache_from}, std::pair{"--cache-to", &target.cache_to}})
    if (*caches)
      for (const bake::CacheEntry& cache : **caches) words.add(flag, csv_text(cache.type, cache.attributes));
  if (target.no_cache.value_or(false)) words.list.emplace_back("--no-cache");
  words.add("--no-cache-filter", target.no_cache_filter);
  if (target.pull.value_or(false)) words.list.emplace_back("--pull=always");
}

void add_step_settings(Words& words, const Target& target) {
  words.add("--network", target.network);
  words.add("--shm-size", target.shm_size);
  words.add("--ulimit", target.ulimits);
  words.add("--allow", target.entitlements);
  for (const auto& [host, address] : target.extra_hosts)
    if (address) words.add("--add-host", cat(host, "=", *address));
  if (target.secrets)
    for (const bake::SecretEntry& secret : *target.secrets) words.add("--secret", csv_text(secret));
  if (target.ssh)
    for (const bake::SshEntry& ssh : *target.ssh)
      words.add("--ssh", ssh.paths.empty() ? ssh.id : cat(ssh.id, "=", join(ssh.paths, ",")));
  if (target.resources) add_resources(words, *target.resources);
}

/// Where linked targets leave their images and inline Dockerfiles lie.
class Workspace {
 public:
  Workspace() : directory_(TempDir::in_tmp("cbuild-bake-")), path_(directory_.path()) {}
  std::string image(const std::string& target) const { return cat(path_, "/", target, ".image"); }
  std::string dockerfile(const std::string& target, const std::string& text) const {
    const std::string path = cat(path_, "/", target, ".Dockerfile");
    write_output_file(path, text);
    return path;
  }

 private:
  TempDir directory_;
  std::string path_;
};

/// In the context, unless that is a directory: then where it is seen from here.
std::string dockerfile_of(const Target& target, const Workspace& workspace) {
  if (target.dockerfile_inline) return workspace.dockerfile(target.name, *target.dockerfile_inline);
  const std::string& file = *target.dockerfile;
  if (file.starts_with("cwd://")) return std::filesystem::absolute(file.substr(6)).string();
  if (file.starts_with('/') || bake::is_remote(file) || bake::is_remote(*target.context)) return file;
  return join_path(*target.context, file);
}

void add_inputs(Words& words, const Target& target, const Workspace& workspace) {
  words.add("--file", dockerfile_of(target, workspace));
  words.add("--target", target.stage);
  words.add("--build-arg", target.args);
  words.add("--label", target.labels);
  words.add("--platform", target.platforms);
  for (const auto& [name, source] : target.contexts) {
    std::string value = source.starts_with("cwd://") ? source.substr(6) : source;
    if (value.starts_with(kTarget)) value = "oci-layout://" + workspace.image(value.substr(kTarget.size()));
    words.add("--build-context", cat(name, "=", value));
  }
}

bool is_context(const Targets& targets, const std::string& name) {
  return std::any_of(targets.begin(), targets.end(), [&](const auto& target) {
    const auto& contexts = target.second.contexts;
    return std::any_of(contexts.begin(), contexts.end(),
                       [&](const auto& context) { return context.second == cat(kTarget, name); });
  });
}

/// `call`: the question that the target asks instead of a build is part of it.
BuildLine build_line(const Targets& targets, const Target& target, const BakeOptions& options,
                     const Workspace& workspace, bool call) {
  Words words;
  add_inputs(words, target, workspace);
  add_outputs(words, target, options.default_load);
  if (options.default_load) words.list.emplace_back("--default-load");
  add_caches(words, target);
  add_step_settings(words, target);
  if (is_context(targets, target.name))
    words.add("--output", cat("type=oci,tar=false,dest=", workspace.image(target.name)));
  if (call) words.add("--call", target.call);
  if (!options.root.empty()) words.add("--root", options.root);
  if (!options.progress.empty()) words.add("--progress", options.progress);
  words.list.push_back(*target.context);
  try {
    return *parse_build_line(std::move(words.list));
  } catch (Error& error) {
    error.add_context(cat("target ", target.name));
    throw;
  }
}

/// A target after those that its contexts name; resolve() has refused circles.
void add_in_order(const Targets& targets, const std::string& name, bake::Strings& order) {
  if (std::find(order.begin(), order.end(), name) != order.end()) return;
  for (const auto& [_, context] : targets.at(name).contexts)
    if (context.starts_with(kTarget)) add_in_order(targets, context.substr(kTarget.size()), order);
  order.push_back(name);
}

/// A linked target that names no platforms is built for those of its users.
void add_platforms(Targets& targets) {
  for (auto& [name, target] : targets) {
    if (!target.linked || (target.platforms && !target.platforms->empty())) continue;
    bake::Strings all;
    for (const auto& [_, user] : targets)
      for (const auto& [key, context] : user.contexts)
        if (context == cat(kTarget, name) && user.platforms)
          all.insert(all.end(), user.platforms->begin(), user.platforms->end());
    if (!all.empty()) target.platforms = bake::without_repeats(all);
  }
}

struct NamedLine {
  std::string target;
  BuildLine line;
};

/// The answers of --call, each below the name of its target.
int run_calls(const std::vector<NamedLine>& lines) {
  int code = exit_code::kSuccess;
  bool first = true;
  for (const auto& [target, line] : lines) {
    if (!line.call) continue;
    if (!line.call->json) std::cout << (first ? "" : "\n") << target << "\n\n" << std::flush;
    first = false;
    code = std::max(code, run_call(line));
  }
  return code;
}

/// The content of --metadata-file: by the name of the target.
using Metadata = nlohmann::ordered_json;

class TargetBuilds {
 public:
  TargetBuilds(const engine::Session& session, Metadata& metadata)
      : session_(session), metadata_(metadata), interrupts_(cancel_) {}

  /// False when it failed, which is shown.
  bool build(const NamedLine& named, bool several) {
    const BuildLine& line = named.line;
    engine::BuildResult result;
    {
      const auto view = make_progress_view(line.progress, STDERR_FILENO);
      if (several) view->on_event(RunNote{Severity::note, cat("target ", named.target)});
      for (const std::string& note : line.notes) view->on_event(RunNote{Severity::note, note});
      result = engine::Builder(session_).build(line.request, *view, cancel_);
    }
    sync_later_ = sync_later_ || result.sync_later;
    if (result.failure) {
      std::cerr << "target " << named.target << ":\n" << failure_text(*result.failure, session_.root);
      code_ = exit_code_of(*result.failure);
      return false;
    }
    if (line.progress == ProgressMode::quiet)
      for (const engine::TargetImage& image : result.images) std::cout << image.id.str() << "\n";
    if (!result.images.empty()) metadata_[named.target] = nlohmann::ordered_json::parse(metadata_json(line, result));
    return true;
  }

  int finish() {
    if (sync_later_) begin_sync(session_.root);
    return code_;
  }

 private:
  const engine::Session& session_;
  Metadata& metadata_;
  CancelSource cancel_;
  Interrupts interrupts_;
  int code_ = exit_code::kSuccess;
  bool sync_later_ = false;
};

int run_builds(const std::vector<NamedLine>& builds, Metadata& metadata) {
  const engine::Session session = engine::start_session(builds.front().line.root);
  TargetBuilds all(session, metadata);
  for (const NamedLine& one : builds)
    if (!all.build(one, builds.size() > 1)) break;
  return all.finish();
}

}  // namespace

int build_targets(const bake::Resolved& resolved, const BakeOptions& options) {
  check_privileges(resolved, options.allow);
  Targets targets = resolved.targets;
  add_platforms(targets);
  bake::Strings order;
  for (const auto& [name, _] : targets) add_in_order(targets, name, order);
  const Workspace workspace;
  std::vector<NamedLine> calls, builds;
  for (const std::string& name : order) {
    const Target& target = targets.at(name);
    const bool asks = target.call.value_or("build") != "build";
    if (asks && !target.linked) calls.push_back({name, build_line(targets, target, options, workspace, true)});
    if (asks && !is_context(targets, name)) continue;  // a context of others is built even where they only ask
    BuildLine line = build_line(targets, target, options, workspace, false);
    line.request.outputs.every_image = line.request.outputs.every_image || !options.metadata_file.empty();
    builds.push_back({name, std::move(line)});
  }
  Metadata metadata = Metadata::object();
  for (const NamedLine& call : calls) metadata[call.target] = Metadata::object();  // as buildx: compose looks for them
  const int code = builds.empty() ? exit_code::kSuccess : run_builds(builds, metadata);
  if (code != exit_code::kSuccess) return code;
  if (!options.metadata_file.empty())
    write_output_file(options.metadata_file, metadata.dump(2, ' ', false, Metadata::error_handler_t::replace) + "\n");
  return run_calls(calls);
}

}  // namespace cbuild::cli
