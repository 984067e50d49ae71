// SPDX-License-Identifier: Apache-2.0
// --call: prints the answer to a question about a Dockerfile (engine/ask_dockerfile.h) instead of building it.
#include "cli/call.h"

#include <iostream>

#include "base/diagnostic.h"
#include "cli/input_services.h"
#include "cli/report/exit_codes.h"
#include "engine/ask_dockerfile.h"

namespace cbuild::cli {

int run_call(const BuildLine& line) {
  const CallOptions& call = *line.call;
  InputServices services(line);
  const engine::DockerfileAnswer answer =
      engine::ask_dockerfile(line.request, call.question,
                             {services.images(), [&]() -> engine::RemoteContexts& { return services.all().contexts; }});
  for (const std::string& note : answer.notes) std::cerr << "note: " << note << '\n';
  for (const Diagnostic& warning : answer.warnings) std::cerr << render(warning);
  const bool failed = !answer.check.errors.empty();
  if (!failed || call.question == engine::DockerfileQuestion::check)
    std::cout << engine::answer_text(answer, call.question, call.json) << std::flush;
  for (const Diagnostic& error : answer.check.errors) std::cerr << render(error);
  if (failed) return exit_code::kBuildFailed;
  const bool warned = call.question == engine::DockerfileQuestion::check && !answer.check.warnings.empty();
  return warned && !call.ignore_status ? exit_code::kBuildFailed : exit_code::kSuccess;
}

}  // namespace cbuild::cli
