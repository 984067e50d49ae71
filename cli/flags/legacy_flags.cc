// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/legacy_flags.h"

#include <CLI/CLI.hpp>
#include <array>

#include "base/text.h"
#include "cli/flags/step_limits.h"

namespace cbuild::cli {
namespace {

struct Ignored {
  const char* name;
  const char* why;
};

constexpr std::array<Ignored, 4> kSwitches = {{{"rm", "no containers are left"},
                                               {"force-rm", "no containers are left"},
                                               {"compress", "the context is read where it lies"},
                                               {"squash", "a multi-stage Dockerfile makes images of few layers"}}};
constexpr std::array<Ignored, 1> kValues = {{{"builder", "there is no daemon to choose"}}};
constexpr std::array<const char*, 7> kLimits = {"-m,--memory", "--memory-swap", "-c,--cpu-shares", "--cpu-period",
                                                "--cpu-quota", "--cpuset-cpus", "--cpuset-mems"};

/// "cpuset-cpus" of "-c,--cpuset-cpus".
std::string long_name(const std::string& names) { return names.substr(names.find("--") + 2); }

/// One field of --resource; a list of CPUs has commas of its own.
std::string as_resource(const std::string& key, const std::string& value) {
  const std::string field = cat(key, "=", value);
  return field.find_first_of(",\"") == std::string::npos ? field : cat('"', replace_all(field, "\"", "\"\""), '"');
}

}  // namespace

void LegacyFlags::add_to(CLI::App& app) {
  for (const char* names : kLimits) {
    const std::string key = long_name(names);
    app.add_option_function<std::string>(
           names, [this, key](const std::string& value) { add_resources(as_resource(key, value), resources); },
           "The same as --resource")
        ->group("");
  }
  for (const Ignored& flag : kSwitches)
    app.add_flag_function(
           cat("--", flag.name),
           [this, flag](std::int64_t wanted) {
             if (wanted > 0) ignored[flag.name] = flag.why;
           },
           "Without effect")
        ->group("");
  for (const Ignored& flag : kValues)
    app.add_option_function<std::vector<std::string>>(
           cat("--", flag.name), [this, flag](const std::vector<std::string>&) { ignored[flag.name] = flag.why; },
           "Without effect")
        ->allow_extra_args(false)
        ->group("");
}

std::vector<std::string> LegacyFlags::notes() const {
  std::vector<std::string> out;
  for (const auto& [name, why] : ignored) out.push_back(cat("--", name, " has no effect: ", why));
  return out;
}

}  // namespace cbuild::cli
