// SPDX-License-Identifier: Apache-2.0
#include "cli/bake_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "bake/bake_files.h"
#include "bake/contexts.h"
#include "bake/print.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "cli/bake_build.h"
#include "cli/flags/flags.h"
#include "cli/report/error_text.h"
#include "cli/report/exit_codes.h"
#include "oci/platform.h"

namespace cbuild::cli {
namespace {

struct BakeFlags {
  std::vector<std::string> targets, files, overrides, variables;
  std::string list, provenance, sbom, call;
  std::string no_cache, pull;  ///< truths; empty: not given
  bool print = false, push = false, load = false, check = false;
  BakeOptions build;
};

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

bool flag_of(const std::map<std::string, std::string>& environment, const std::string& name) {
  const auto found = environment.find(name);
  if (found == environment.end() || trim(found->second).empty()) return false;
  if (const auto truth = parse_bool(to_lower(trim(found->second)))) return *truth;
  throw Error(ErrorCode::usage, cat("failed to parse ", name, " value ", go_quote(found->second)));
}

bake::VariableSources sources_of(const BakeFlags& flags, std::map<std::string, std::string> environment) {
  bake::VariableSources out;
  out.environment = std::move(environment);
  out.builtin = {{"BAKE_CMD_CONTEXT", "cwd://"}, {"BAKE_LOCAL_PLATFORM", oci::host_platform().str()}};
  for (const std::string& text : flags.variables) {
    const auto equals = text.find('=');
    if (text.empty()) continue;
    if (equals == std::string::npos || equals == 0)
      throw Error(ErrorCode::usage, cat("invalid variable ", go_quote(text), ", expected key=value"));
    out.given[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return out;
}

/// BUILDX_BAKE_FILE, a list of paths, where no -f is given.
std::vector<std::string> file_names(const BakeFlags& flags, const std::map<std::string, std::string>& environment) {
  const auto given = environment.find("BUILDX_BAKE_FILE");
  if (!flags.files.empty() || given == environment.end()) return flags.files;
  const auto separator = environment.find("BUILDX_BAKE_PATH_SEPARATOR");
  const char at = separator == environment.end() || separator->second.empty() ? ':' : separator->second.front();
  std::vector<std::string> out;
  for (const std::string& part : split(given->second, at))
    if (!trim(part).empty()) out.emplace_back(trim(part));
  return out;
}

std::string attestation(const std::string& type, const std::string& value) {
  if (value == "true" || value == "1") return cat("type=", type, ",disabled=false");
  if (value == "false" || value == "0") return cat("type=", type, ",disabled=true");
  return cat("type=", type, ",", value);
}

/// --set, and the flags that are short for it.
std::vector<std::string> override_texts(const BakeFlags& flags) {
  std::vector<std::string> out = flags.overrides;
  if (flags.push) out.emplace_back("*.push=true");
  if (flags.load) out.emplace_back("*.load=true");
  if (!flags.no_cache.empty()) out.push_back(cat("*.no-cache=", flags.no_cache));
  if (!flags.pull.empty()) out.push_back(cat("*.pull=", flags.pull));
  if (!flags.sbom.empty()) out.push_back("*.attest=" + attestation("sbom", flags.sbom));
  if (!flags.provenance.empty()) out.push_back("*.attest=" + attestation("provenance", flags.provenance));
  if (flags.check) out.emplace_back("*.call=check");
  if (!flags.call.empty() && flags.call != "build") out.push_back("*.call=" + flags.call);
  return out;
}

/// A Dockerfile's reproducible time, unless the target sets its own.
void add_source_date(bake::Resolved& resolved, const std::map<std::string, std::string>& environment) {
  const auto epoch = environment.find("SOURCE_DATE_EPOCH");
  if (epoch == environment.end() || epoch->second.empty()) return;
  for (auto& [_, target] : resolved.targets) target.args.emplace("SOURCE_DATE_EPOCH", epoch->second);
}

int list(const std::string& text, const bake::Config& config) {
  std::string type = text, format = "table";
  if (text.find('=') != std::string::npos)
    for (const std::string& field : split(text, ',')) {
      const auto equals = field.find('=');
      const std::string key = to_lower(trim(field.substr(0, equals)));
      if (equals == std::string::npos || (key != "type" && key != "format"))
        throw Error(ErrorCode::usage, cat("invalid value ", field)).with_hint("--list=type=targets,format=json");
      (key == "type" ? type : format) = field.substr(equals + 1);
    }
  if (format != "table" && format != "json")
    throw Error(ErrorCode::usage, cat("invalid list format ", go_quote(format)));
  if (type == "targets")
    std::cout << bake::list_targets(config, format == "json");
  else if (type == "variables")
    std::cout << bake::list_variables(config, format == "json");
  else
    throw Error(ErrorCode::usage, cat("invalid list type ", go_quote(type))).with_hint("targets or variables");
  return exit_code::kSuccess;
}

int bake(BakeFlags& flags) {
  if (flags.print && !flags.list.empty()) throw Error(ErrorCode::usage, "--print and --list exclude each other");
  if (!flags.targets.empty() && bake::is_remote_definition(flags.targets.front()))
    throw Error(ErrorCode::unsupported, "bake files of a repository or address are not supported yet")
        .with_hint("clone it, and give its files with -f");
  const auto environment = process_environment();
  const bool relative = flag_of(environment, "BUILDX_BAKE_FILE_RELATIVE_PATHS");
  const bake::Config config =
      bake::read_config(bake::read_files(file_names(flags, environment)), sources_of(flags, environment), relative);
  if (!flags.list.empty()) return list(flags.list, config);
  if (flags.targets.empty()) flags.targets = {"default"};
  bake::Resolved resolved = bake::resolve(config, flags.targets, override_texts(flags), environment);
  add_source_date(resolved, environment);
  bake::settle_contexts(resolved);
  if (!flags.print) return build_targets(resolved, flags.build);
  std::cout << bake::to_json(resolved);
  return exit_code::kSuccess;
}

void add_flags(CLI::App& app, BakeFlags& flags) {
  app.add_option("TARGET", flags.targets, "Targets and groups; \"default\" if none is given");
  const auto repeated = [&](const char* name, std::vector<std::string>& values, const char* summary) {
    app.add_option(name, values, summary)->allow_extra_args(false);
  };
  repeated("-f,--file", flags.files, "Bake or compose file; \"-\" is standard input");
  repeated("--set", flags.overrides, "TARGETPATTERN.KEY=VALUE: set an attribute; += adds to a list");
  repeated("--var", flags.variables, "NAME=VALUE: set a variable");
  repeated("--allow", flags.build.allow, "Grant an entitlement: network.host, security.insecure, ssh, fs=PATH, ...");
  app.add_flag("--print", flags.print, "Print the resolved targets as JSON and build nothing");
  app.add_option("--list", flags.list, "List \"targets\" or \"variables\", as JSON with type=...,format=json");
  app.add_flag("--push", flags.push, "Push the images of the targets");
  app.add_flag("--load", flags.load, "Load the images into the engine");
  app.add_flag("--default-load", flags.build.default_load, "As that of a build, for all targets");
  app.add_flag("--no-cache", flags.no_cache, "Run every step");
  app.add_flag("--pull", flags.pull, "Ask registries for newer images");
  app.add_option("--call", flags.call, "check, outline or targets instead of a build");
  app.add_flag("--check", flags.check, "Short for --call=check");
  app.add_option("--sbom", flags.sbom, "Attach an SBOM to all targets");
  app.add_option("--provenance", flags.provenance, "Attach provenance to all targets");
  app.add_option("--metadata-file", flags.build.metadata_file, "Write the results of all targets as JSON");
  app.add_option("--progress", flags.build.progress, "auto, tty, plain, quiet, rawjson or events");
}

}  // namespace

int bake_command(Arguments arguments) {
  BakeFlags flags;
  CLI::App app{"Build the targets of bake files (HCL, JSON, compose)", "cbuild bake"};
  add_flags(app, flags);
  if (!parse_flags(app, flags.build.root, std::move(arguments))) return exit_code::kSuccess;
  try {
    return bake(flags);
  } catch (const DiagnosticError& error) {
    for (const Diagnostic& diagnostic : error.diagnostics()) std::cerr << render(diagnostic);
    return exit_code_of(Error(ErrorCode::input, error.what()));
  }
}

}  // namespace cbuild::cli
