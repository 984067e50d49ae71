// SPDX-License-Identifier: Apache-2.0
#include "engine/request/request.h"

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::engine {

std::vector<oci::Platform> wanted_platforms(const InputSettings& inputs) {
  return inputs.platforms.empty() ? std::vector<oci::Platform>{oci::host_platform()} : inputs.platforms;
}

bool is_multi_platform(const InputSettings& inputs) {
  constexpr char kArgument[] = "BUILDKIT_MULTI_PLATFORM";
  const bool several = inputs.platforms.size() > 1;
  const auto given = inputs.build_args.find(kArgument);
  if (given == inputs.build_args.end() || given->second.empty()) return several;
  const std::optional<bool> wanted = parse_bool(given->second);
  if (!wanted) throw Error(ErrorCode::usage, cat(kArgument, " is true or false, not '", given->second, "'"));
  if (several && !*wanted)
    throw Error(ErrorCode::usage, cat(kArgument, "=", given->second, " does not go with several platforms"))
        .with_hint("leave it out, or give one --platform");
  return *wanted;
}

std::string spelling(const DockerfileSource& dockerfile) {
  if (const auto* named = std::get_if<NamedDockerfile>(&dockerfile)) return named->path;
  if (const auto* remote = std::get_if<UrlDockerfile>(&dockerfile)) return remote->url;
  if (const auto* given = std::get_if<GivenDockerfile>(&dockerfile)) return given->name;
  return std::holds_alternative<StreamDockerfile>(dockerfile) ? "-" : "";
}

}  // namespace cbuild::engine
