// SPDX-License-Identifier: Apache-2.0
//
// Variables and docker's config.json, turned into the values that flags would have given. A flag always wins. The
// engine never looks at the environment.
#include "cli/flags/environment.h"

#include <fcntl.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/process/environment.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/words.h"
#include "cli/flags/git_info.h"
#include "cli/flags/registry_files.h"

namespace cbuild::cli {
namespace {

using EnvironmentJson = nlohmann::json;

constexpr char kEpoch[] = "SOURCE_DATE_EPOCH";
constexpr std::size_t kMaxConfig = 4u << 20;

bool is_set(const char* name) { return parse_bool(environment_value(name)).value_or(false); }

std::string config_path() {
  if (const std::string docker = environment_value("DOCKER_CONFIG"); !docker.empty())
    return join_path(docker, "config.json");
  const std::string home = environment_value("HOME");
  return home.empty() ? home : join_path(home, ".docker/config.json");
}

/// The entry of the docker host, else the one called "default".
EnvironmentJson proxies_of(const EnvironmentJson& config) {
  const auto all = config.find("proxies");
  if (all == config.end() || !all->is_object()) return EnvironmentJson::object();
  const std::string given = environment_value("DOCKER_HOST");
  for (const std::string& host :
       {given.empty() ? std::string("unix:///var/run/docker.sock") : given, std::string("default")})
    if (const auto entry = all->find(host); entry != all->end() && entry->is_object()) return *entry;
  return EnvironmentJson::object();
}

bool has_argument(const BuildLine& line, const std::string& name) {
  return std::any_of(line.request.inputs.build_args.begin(), line.request.inputs.build_args.end(),
                     [&](const auto& argument) { return iequals(argument.first, name); });
}

void add_proxies(BuildLine& line) {
  constexpr std::array<std::array<const char*, 2>, 5> kNames = {{{"httpProxy", "HTTP_PROXY"},
                                                                 {"httpsProxy", "HTTPS_PROXY"},
                                                                 {"noProxy", "NO_PROXY"},
                                                                 {"ftpProxy", "FTP_PROXY"},
                                                                 {"allProxy", "ALL_PROXY"}}};
  const std::string path = config_path();
  const auto text = path.empty() ? std::nullopt : sys::try_read_plain(AT_FDCWD, path, kMaxConfig);
  if (!text || text->find("\"proxies\"") == std::string::npos) return;
  const EnvironmentJson config = EnvironmentJson::parse(*text, nullptr, false);
  if (!config.is_object()) {
    line.notes.push_back(cat(path, " is not JSON; its proxies are not used"));
    return;
  }
  const EnvironmentJson proxies = proxies_of(config);
  for (const auto& [key, name] : kNames) {
    const auto value = proxies.find(key);
    if (value == proxies.end() || !value->is_string() || value->get<std::string>().empty()) continue;
    if (has_argument(line, name)) continue;
    line.request.inputs.build_args[name] = line.request.inputs.build_args[to_lower(name)] = value->get<std::string>();
  }
}

/// What says that this machine is made for one job and removed after it: variables that the services document for that.
std::string sign_of_disposal() {
  if (is_set("CI_DISPOSABLE_ENVIRONMENT")) return "CI_DISPOSABLE_ENVIRONMENT";
  if (environment_value("RUNNER_ENVIRONMENT") == "github-hosted") return "RUNNER_ENVIRONMENT";
  return {};
}

/// As buildx: any other value is the default.
MetadataProvenance metadata_provenance() {
  const std::string value = environment_value("BUILDX_METADATA_PROVENANCE");
  if (value == "max") return MetadataProvenance::max;
  return value == "disabled" || !parse_bool(value).value_or(true) ? MetadataProvenance::none : MetadataProvenance::min;
}

void read_source_policy(BuildLine& line) {
  const std::string path = environment_value("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY");
  if (path.empty()) return;
  try {
    const auto text = sys::try_read_plain(AT_FDCWD, path, kMaxConfig, sys::Pipes::taken);
    if (!text) throw Error(ErrorCode::usage, cat(path, " does not exist"));
    line.request.sources.policy = std::make_shared<const engine::SourcePolicy>(engine::SourcePolicy::parse(*text));
  } catch (const Error& error) {
    throw Error(ErrorCode::usage, cat("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: ", error.message()));
  }
}

}  // namespace

std::vector<std::string> platforms_or_default(const std::vector<std::string>& given) {
  const std::string fallback = environment_value("DOCKER_DEFAULT_PLATFORM");
  return given.empty() && !fallback.empty() ? std::vector<std::string>{fallback} : given;
}

std::string progress_or_default(const std::string& given) {
  const std::string fallback = environment_value("BUILDKIT_PROGRESS");
  return given == "auto" && !fallback.empty() ? fallback : given;
}

std::string network_or_default(const std::string& given) {
  const std::string fallback = environment_value("CBUILD_NETWORK");
  return (given.empty() || given == "default") && !fallback.empty() ? fallback : given;
}

std::string sync_or_default(const std::string& given, std::vector<std::string>& told) {
  if (!given.empty()) return given;
  if (const std::string wanted = environment_value("CBUILD_SYNC"); !wanted.empty()) return wanted;
  const std::string reason = sign_of_disposal();
  if (reason.empty()) return "end";
  told.push_back(cat("the store is not synced: this machine is thrown away (", reason, ")"));
  return "none";
}

bool has_no_default_attestations() {
  constexpr char kName[] = "BUILDX_NO_DEFAULT_ATTESTATIONS";
  if (std::getenv(kName) == nullptr) return false;
  const auto truth = parse_bool(environment_value(kName));
  if (!truth) throw Error(ErrorCode::usage, cat(kName, ": '", environment_value(kName), "' is not true or false"));
  return *truth;
}

bool has_no_default_artifact() { return is_set("BUILDX_NO_DEFAULT_OCI_ARTIFACT"); }

std::vector<std::string> agent_environment() {
  std::vector<std::string> out;
  for (const char* name : {"PATH", "HOME"})
    if (const char* value = std::getenv(name)) out.push_back(cat(name, "=", value));
  return out;
}

void apply_environment(BuildLine& line) {
  read_source_policy(line);
  line.request.sources.registry_files = registry_files();
  line.request.steps.log_limits =
      solver::ops::log_limits_of(std::getenv("BUILDKIT_STEP_LOG_MAX_SIZE"), std::getenv("BUILDKIT_STEP_LOG_MAX_SPEED"));
  line.metadata_warnings = is_set("BUILDX_METADATA_WARNINGS");
  line.metadata_provenance = metadata_provenance();
  line.request.outputs.tell_provenance =
      !line.metadata_file.empty() && line.metadata_provenance != MetadataProvenance::none;
  if (const std::string epoch = environment_value(kEpoch); !epoch.empty())
    line.request.inputs.build_args.emplace(kEpoch, epoch);
  try {
    add_proxies(line);
    if (is_set("BUILDX_GIT_LABELS") || environment_value("BUILDX_GIT_LABELS") == "full") add_git_labels(line);
    if (parse_bool(environment_value("BUILDX_GIT_INFO")).value_or(true)) add_git_info(line);
  } catch (const Error& error) {
    line.notes.emplace_back(error.what());
  }
}

}  // namespace cbuild::cli
