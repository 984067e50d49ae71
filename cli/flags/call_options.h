// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "engine/ask_dockerfile.h"

namespace cbuild::cli {

/// --call: the question about a Dockerfile, asked instead of building it.
struct CallOptions {
  using Question = engine::DockerfileQuestion;
  Question question = Question::check;
  bool json = false;
  bool ignore_status = false;  ///< warnings do not make the exit code 1

  bool operator==(const CallOptions&) const = default;
};

/// "check", "outline", "targets" or "subrequests.describe", then ",format=json" and ",ignorestatus=true"; nullopt for
/// "build". Throws Error{usage} with a suggestion.
std::optional<CallOptions> parse_call(const std::string& text);

}  // namespace cbuild::cli
