// SPDX-License-Identifier: Apache-2.0
// The commands of buildx. Most are commands of cbuild under another name; those about builders are answered here: there
// is one builder, this machine, so creating, choosing and stopping one succeed and do nothing, which is enough for the
// scripts that begin with `docker buildx create --use`.
#include "cli/plugin/plugin_commands.h"

#include <fcntl.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/process/environment.h"
#include "base/text.h"
#include "base/words.h"
#include "cli/flags/docker_engine.h"
#include "cli/flags/flags.h"
#include "cli/plugin/builders.h"
#include "cli/report/exit_codes.h"
#include "oci/registry/account_file.h"

namespace cbuild::cli {
namespace {

using PluginJson = nlohmann::ordered_json;

constexpr const char* kBuildxVersion =
    "v0.36.0+cbuild-" CBUILD_VERSION;  ///< the version of buildx whose words it takes
constexpr std::size_t kMaxSource = 1u << 20;

struct BuildxCommand {
  std::string_view name, summary;
  PluginResult (*run)(Arguments words);
};

PluginResult as(Arguments command, const Arguments& words) {
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

/// As buildx: BUILDX_NO_DEFAULT_LOAD leaves the image where it was built.
PluginResult as_build(std::string command, const Arguments& words) {
  if (parse_bool(environment_value("BUILDX_NO_DEFAULT_LOAD")).value_or(false)) return as({std::move(command)}, words);
  return as({std::move(command), "--default-load"}, words);
}

[[noreturn]] void refuse(const std::string& command, const std::string& why, const std::string& hint) {
  throw Error(ErrorCode::unsupported, cat("docker buildx ", command, ": ", why)).with_hint(hint);
}

/// A command of a few flags, parsed; nullopt if help was printed.
template <typename Declare>
std::optional<int> parse_words(const std::string& name, const char* summary, const Arguments& words,
                               const Declare& declare) {
  std::string root;
  CLI::App app{summary, "docker buildx " + name};
  declare(app);
  if (!parse_flags(app, root, words)) return exit_code::kSuccess;
  return std::nullopt;
}

PluginResult create(Arguments words) {
  std::string name = "cbuild", driver, node, ignored, endpoint;
  std::vector<std::string> platforms, options;
  bool flag = false, leave = false;
  const auto done = parse_words("create", "Name the builder of this machine", words, [&](CLI::App& app) {
    app.add_option("ENDPOINT", endpoint, "Docker's context or address");
    app.add_option("--name", name, "Name to print");
    app.add_option("--driver", driver, "docker-container or docker");
    app.add_option("--node", node, "Without effect");
    app.add_option("--platform", platforms, "Without effect")->allow_extra_args(false);
    app.add_option("--driver-opt", options, "Without effect")->allow_extra_args(false);
    app.add_option("--buildkitd-flags", ignored, "Without effect");
    app.add_option("--buildkitd-config,--config", ignored, "Without effect");
    for (const char* names : {"--bootstrap", "--append", "--use"}) app.add_flag(names, flag, "Without effect");
    app.add_flag("--leave", leave, "Without effect");
  });
  if (done) return *done;
  if (!driver.empty() && driver != "docker-container" && driver != "docker")
    refuse("create", cat("there is no builder for --driver ", driver, ": cbuild builds on this machine"),
           "cbuild plugin remove gives docker its own buildx back");
  if (!endpoint.empty() && endpoint != "default" && endpoint != docker_context_name())
    std::cerr << "note: builds run on this machine, not at " << sanitize_for_terminal(endpoint) << '\n';
  std::cout << sanitize_for_terminal(name) << '\n';
  return exit_code::kSuccess;
}

/// A builder may have any name; one of a context of docker's client would load images elsewhere from now on.
PluginResult use(Arguments words) {
  std::string name;
  bool flag = false;
  const auto done = parse_words("use", "Choose the builder of this machine", words, [&](CLI::App& app) {
    app.add_option("NAME", name, "Any name")->required();
    app.add_flag("--default", flag, "Without effect");
    app.add_flag("--global", flag, "Without effect");
  });
  if (done) return *done;
  if (name != docker_context_name() && has_docker_context(name))
    throw Error(ErrorCode::usage, cat("docker buildx use: ", name,
                                      " is a context of docker, whose engine cbuild takes "
                                      "from docker itself"))
        .with_hint(cat("docker context use ", name));
  return exit_code::kSuccess;
}

PluginResult remove_builders(Arguments words) {
  std::vector<std::string> names;
  bool flag = false;
  const auto done = parse_words("rm", "Say that a builder is removed", words, [&](CLI::App& app) {
    app.add_option("NAME", names, "Any name");
    for (const char* flags : {"--keep-state", "--keep-daemon", "--all-inactive", "-f,--force"})
      app.add_flag(flags, flag, "Without effect");
  });
  if (done) return *done;
  for (const std::string& name : names) std::cout << sanitize_for_terminal(name) << " removed\n";
  return exit_code::kSuccess;
}

PluginResult stop(Arguments words) {
  std::string name;
  const auto done = parse_words("stop", "There is no daemon to stop", words,
                                [&](CLI::App& app) { app.add_option("NAME", name, "Any name"); });
  return done.value_or(exit_code::kSuccess);
}

PluginResult list(Arguments words) {
  std::string format, timeout;
  bool flag = false;
  const auto done = parse_words("ls", "List the builder of this machine", words, [&](CLI::App& app) {
    app.add_option("--format", format, "table, json, or a Go template");
    app.add_flag("--no-trunc", flag, "Without effect");
    app.add_option("--timeout", timeout, "Without effect");
  });
  if (done) return *done;
  std::cout << list_builders(current_builder(), format);
  return exit_code::kSuccess;
}

PluginResult inspect(Arguments words) {
  std::string name, timeout;
  bool flag = false;
  const auto done = parse_words("inspect", "Show the builder of this machine", words, [&](CLI::App& app) {
    app.add_option("NAME", name, "The name to show");
    app.add_flag("--bootstrap", flag, "Without effect");
    app.add_option("--timeout", timeout, "Without effect");
  });
  if (done) return *done;
  Builder builder = current_builder();
  if (!name.empty()) builder.name = name;
  std::cout << describe_builder(builder);
  return exit_code::kSuccess;
}

PluginResult version(Arguments) {
  std::cout << "github.com/docker/buildx " << kBuildxVersion << " cbuild\n";
  return exit_code::kSuccess;
}

PluginResult set_alias(const std::optional<std::string>& value) {
  const std::string directory = docker_directory();
  if (directory.empty())
    throw Error(ErrorCode::usage, "HOME is not set: docker has no config.json").with_hint("set DOCKER_CONFIG");
  oci::registry::store_setting(join_path(directory, "config.json"), "aliases", "builder", value);
  return exit_code::kSuccess;
}

/// A source may be a digest or a descriptor, of the repository of the new image.
std::string image_source(const std::string& text, const std::string& tag) {
  std::string digest(trim(text));
  if (digest.starts_with('{')) {
    const PluginJson json = PluginJson::parse(digest, nullptr, false);
    if (!json.is_object() || !json.contains("digest") || !json["digest"].is_string())
      throw Error(ErrorCode::usage, cat("imagetools create: ", digest, " is not a descriptor"));
    digest = json["digest"].get<std::string>();
  }
  if (!digest.starts_with("sha256:") && !digest.starts_with("sha512:")) return digest;
  if (tag.empty()) throw Error(ErrorCode::usage, cat("imagetools create: ", digest, " needs --tag for its repository"));
  const std::size_t slash = tag.rfind('/'), colon = tag.rfind(':');
  const bool has_tag = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return cat(has_tag ? tag.substr(0, colon) : tag, "@", digest);
}

std::string source_of_file(const std::string& path) {
  const auto text = sys::try_read_plain(AT_FDCWD, path, kMaxSource, sys::Pipes::taken);
  if (!text) throw Error(ErrorCode::usage, cat("imagetools create: --file ", path, " does not exist"));
  return *text;
}

PluginResult create_image(const Arguments& words) {
  std::vector<std::string> sources, files, tags, annotations, platforms;
  std::string progress, metadata_file;
  bool dry_run = false, append = false, prefer_index = true;
  const auto done = parse_words("imagetools create", "Make an index of images", words, [&](CLI::App& app) {
    const auto repeated = [&](const char* names, std::vector<std::string>& values, const char* summary) {
      app.add_option(names, values, summary)->allow_extra_args(false);
    };
    app.add_option("SOURCE", sources, "Image, digest or descriptor");
    repeated("-f,--file", files, "File with a source");
    repeated("-t,--tag", tags, "Name of the new image");
    repeated("--annotation", annotations, "LEVEL:NAME=VALUE");
    repeated("-p,--platform", platforms, "Leave out other platforms");
    app.add_option("--progress", progress, "Without effect");
    app.add_option("--metadata-file", metadata_file, "Write digest and names of the result as JSON");
    app.add_flag("--dry-run", dry_run, "Print the index and write nothing");
    app.add_flag("--append", append, "Add to the image that has the first name");
    app.add_flag("--prefer-index", prefer_index, "Make an index of a single image, too");
  });
  if (done) return *done;
  Arguments out = {"index", "create"};
  const auto add = [&](const char* flag, const std::vector<std::string>& values) {
    for (const std::string& value : values) out.push_back(cat(flag, "=", value));
  };
  add("--tag", tags);
  add("--annotation", annotations);
  add("--platform", platforms);
  if (!metadata_file.empty()) add("--metadata-file", {metadata_file});
  if (dry_run) out.emplace_back("--dry-run");
  if (append) out.emplace_back("--append");
  if (!prefer_index) out.emplace_back("--prefer-index=false");
  out.emplace_back("--");
  for (const std::string& file : files) sources.push_back(source_of_file(file));
  for (const std::string& source : sources) out.push_back(image_source(source, tags.empty() ? "" : tags.front()));
  return out;
}

PluginResult imagetools(Arguments words) {
  const std::string command = words.empty() ? "" : words.front();
  if (!words.empty()) words.erase(words.begin());
  if (command == "inspect") return as({"inspect"}, words);
  if (command == "create") return create_image(words);
  if (command.empty() || command == "--help" || command == "-h") {
    std::cout << "Commands of docker buildx imagetools:\n  inspect     cbuild inspect\n  create      cbuild index "
                 "create\n";
    return exit_code::kSuccess;
  }
  throw Error(ErrorCode::usage, cat("docker buildx imagetools: unknown command '", command, "'"))
      .with_hint("inspect or create");
}

/// Builds are named as the metadata file has them: "cbuild/cbuild/ID".
PluginResult history(Arguments words) {
  for (std::string& word : words)
    if (word.starts_with("cbuild/cbuild/")) word.erase(0, std::string_view("cbuild/cbuild/").size());
  const std::string command = words.empty() ? "" : words.front();
  if (command == "import") refuse("history import", "records of other builders are not read", "");
  if (command == "inspect" && words.size() > 1 && words[1] == "attachment")
    refuse("history inspect attachment", "builds keep no attachments",
           "cbuild inspect --format '{{json .Provenance}}' IMAGE shows those of an image");
  if (command == "trace") words.front() = "open";
  return as({"history"}, words);
}

PluginResult dial_stdio(Arguments) { refuse("dial-stdio", "there is no daemon to speak to", ""); }
PluginResult debug(Arguments) {
  refuse("debug", "the monitor of buildx is another program",
         "docker build --on-error shell enters a failed step, cbuild debug one of an earlier build");
}
PluginResult policy(Arguments) {
  refuse("policy", "policies in Rego are not read", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY names a source policy");
}

constexpr BuildxCommand kBuildxCommands[] = {
    {"bake", "Build the targets of bake files", [](Arguments words) { return as_build("bake", words); }},
    {"build", "Build an image and load it into the engine", [](Arguments words) { return as_build("build", words); }},
    {"create", "Name the builder of this machine", create},
    {"dap", "Build under the control of an editor", [](Arguments words) { return as({"dap"}, words); }},
    {"debug", "", debug},
    {"dial-stdio", "", dial_stdio},
    {"du", "Show the contents of the store by size", [](Arguments words) { return as({"du"}, words); }},
    {"f", "", [](Arguments words) { return as_build("bake", words); }},
    {"history", "Show the builds of the store", history},
    {"imagetools", "Inspect images and put them together: inspect, create", imagetools},
    {"inspect", "Show the builder of this machine", inspect},
    {"install", "Make docker build use the plugin, in docker 20.10 (an alias in config.json)",
     [](Arguments) { return set_alias("buildx"); }},
    {"ls", "List the builder of this machine", list},
    {"policy", "", policy},
    {"prune", "Remove build cache that is not in use", [](Arguments words) { return as({"prune"}, words); }},
    {"rm", "Does nothing: the builder is this machine", remove_builders},
    {"stop", "Does nothing: there is no daemon", stop},
    {"uninstall", "Remove the alias of install", [](Arguments) { return set_alias(std::nullopt); }},
    {"use", "Does nothing: there is one builder", use},
    {"version", "Show the version", version},
};

int print_metadata() {
  const PluginJson json{{"SchemaVersion", "0.1.0"},
                        {"Vendor", "cbuild"},
                        {"Version", kBuildxVersion},
                        {"ShortDescription", "cbuild as docker's builder"}};
  std::cout << json.dump() << '\n';
  return exit_code::kSuccess;
}

int print_help() {
  std::cout << "cbuild as docker's plugin buildx\n\nCommands:\n" << std::left;
  for (const BuildxCommand& command : kBuildxCommands)
    if (!command.summary.empty()) std::cout << "  " << std::setw(12) << command.name << command.summary << '\n';
  std::cout << "\ndocker buildx COMMAND --help says more about each.\n";
  return exit_code::kSuccess;
}

/// The protocol of docker's completion: candidates, then ":4" for "no files" or ":0" for "files, too".
int print_completion(const Arguments& words) {
  const bool names_command = words.size() == 3 && words[1] == "buildx";
  if (names_command)
    for (const BuildxCommand& command : kBuildxCommands)
      if (!command.summary.empty() && command.name.starts_with(words[2]))
        std::cout << command.name << '\t' << command.summary << '\n';
  std::cout << (names_command ? ":4\n" : ":0\n");
  return exit_code::kSuccess;
}

}  // namespace

PluginResult run_buildx(const Arguments& words) {
  const std::string name = words.empty() ? "--help" : words.front();
  if (name == "docker-cli-plugin-metadata") return print_metadata();
  if (name == "__complete" || name == "__completeNoDesc") return print_completion(words);
  if (name == "--help" || name == "-h" || name == "help") return print_help();
  if (name == "--version" || name == "-v") return version({});
  const auto* const found = std::find_if(std::begin(kBuildxCommands), std::end(kBuildxCommands),
                                         [&](const BuildxCommand& command) { return command.name == name; });
  if (found != std::end(kBuildxCommands)) return found->run({words.begin() + 1, words.end()});
  std::vector<std::string> names;
  for (const BuildxCommand& command : kBuildxCommands) names.emplace_back(command.name);
  throw Error(ErrorCode::usage, cat("docker buildx: unknown command '", name, "'"))
      .with_hint(word_hint(name, names, "commands"));
}

void choose_builder(const std::string& name) {
  if (name.empty() || name == docker_context_name() || !has_docker_context(name)) return;
  if (name != "default") ::unsetenv("DOCKER_HOST");
  ::setenv("DOCKER_CONTEXT", name.c_str(), 1);
}

}  // namespace cbuild::cli
