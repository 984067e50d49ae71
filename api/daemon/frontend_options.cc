// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/frontend_options.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/platform.h"
#include "supply/attestation_settings.h"

namespace cbuild::api {
namespace {

[[noreturn]] void refuse_attribute(const std::string& name, const std::string& value, const char* why) {
  throw Error(ErrorCode::usage, cat("frontend attribute ", name, "=", value, ": ", why));
}

std::int64_t number_of(const std::string& name, const std::string& value) {
  const auto number = parse_int(value);
  if (!number) refuse_attribute(name, value, "not a number");
  return *number;
}

/// "NAME=SOFT[:HARD]", as clients write them.
Ulimit ulimit_of(const std::string& text) {
  const auto parts = split(text, '=');
  const auto limits = parts.size() == 2 ? split(parts[1], ':') : std::vector<std::string>{};
  if (limits.empty() || limits.size() > 2) refuse_attribute("ulimit", text, "not NAME=SOFT[:HARD]");
  return {std::string(parts[0]), number_of("ulimit", std::string(limits.front())),
          number_of("ulimit", std::string(limits.back()))};
}

void read_limits(const Attributes& attributes, engine::StepSettings& steps) {
  const auto number = [&](const char* name, auto& out) {
    const std::string value = attribute(attributes, name);
    if (!value.empty()) out = static_cast<std::remove_reference_t<decltype(out)>>(number_of(name, value));
  };
  number("shm-size", steps.shm_size);
  number("memory", steps.resources.memory_bytes);
  number("memswap", steps.resources.memory_swap_bytes);
  number("cpushares", steps.resources.cpu_shares);
  number("cpuperiod", steps.resources.cpu_period_us);
  number("cpuquota", steps.resources.cpu_quota_us);
  steps.resources.cpuset_cpus = attribute(attributes, "cpusetcpus");
  steps.resources.cpuset_mems = attribute(attributes, "cpusetmems");
  for (const auto& text : split(attribute(attributes, "ulimit"), ','))
    if (!text.empty()) steps.ulimits.push_back(ulimit_of(std::string(text)));
}

void read_steps(const Attributes& attributes, engine::StepSettings& steps) {
  steps.network = attribute(attributes, "force-network-mode");
  if (steps.network == "sandbox") steps.network = "default";
  steps.cgroup_parent = attribute(attributes, "cgroup-parent");
  for (const auto& host : split(attribute(attributes, "add-hosts"), ','))
    if (!host.empty()) steps.extra_hosts.emplace_back(host);
  read_limits(attributes, steps);
}

void read_caches(const Attributes& attributes, engine::CacheSettings& caches) {
  const auto none = attributes.find("no-cache");
  if (none == attributes.end()) return;
  caches.none = none->second.empty();
  for (const auto& stage : split(none->second, ','))
    if (!stage.empty()) caches.ignored.emplace_back(stage);
}

}  // namespace

std::string attribute(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  return found == attributes.end() ? std::string() : found->second;
}

Attributes with_prefix(const Attributes& attributes, std::string_view prefix) {
  Attributes out;
  for (auto at = attributes.lower_bound(std::string(prefix)); at != attributes.end() && at->first.starts_with(prefix);
       ++at)
    out[at->first.substr(prefix.size())] = at->second;
  return out;
}

void read_frontend_options(const Attributes& attributes, engine::BuildRequest& request) {
  request.inputs.targets = {attribute(attributes, "target")};
  request.inputs.build_args = with_prefix(attributes, "build-arg:");
  request.inputs.labels = with_prefix(attributes, "label:");
  for (const char* key : {"source", "revision"})
    if (const std::string value = attribute(attributes, cat("vcs:", key)); !value.empty())
      request.inputs.vcs[key] = value;
  for (const auto& name : split(attribute(attributes, "platform"), ',')) {
    if (name.empty()) continue;
    const auto platform = oci::parse_platform(name);
    if (!platform) refuse_attribute("platform", std::string(name), "not a platform");
    request.inputs.platforms.push_back(*platform);
  }
  if (const std::string several = attribute(attributes, "multi-platform"); !several.empty())
    request.inputs.build_args.emplace("BUILDKIT_MULTI_PLATFORM", several);
  if (attribute(attributes, "image-resolve-mode") == "pull") request.sources.pull = engine::PullPolicy::always;
  read_steps(attributes, request.steps);
  read_caches(attributes, request.caches);
  std::vector<std::string> attests;
  for (const auto& [type, value] : with_prefix(attributes, "attest:"))
    attests.push_back(value.empty() ? cat("type=", type) : cat("type=", type, ",", value));
  request.outputs.attestations = supply::parse_attestations(attests, request.inputs.build_args, true);
}

}  // namespace cbuild::api
