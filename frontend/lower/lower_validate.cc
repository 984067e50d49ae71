// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower/lower_validate.h"

#include "base/text.h"
#include "base/words.h"
#include "frontend/stages/config_healthcheck.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/stages/stages.h"

namespace cbuild::frontend {

namespace {

void check(const RunInstruction& run) {
  const auto one_of = [](const Text& text, std::initializer_list<std::string_view> allowed) {
    for (const std::string_view word : allowed) {
      if (text.value == word) return true;
    }
    return false;
  };
  if (run.network && !one_of(*run.network, {"default", "none", "host"})) {
    reject(run.network->span, cat("invalid network mode ", go_quote(run.network->value)), "use default, none or host");
  }
  if (run.security && !one_of(*run.security, {"sandbox", "insecure"})) {
    reject(run.security->span, cat("security ", go_quote(run.security->value), " is not valid"),
           "use sandbox or insecure");
  }
  for (const Text& mount : run.mounts) at(mount.span, [&] { mount_from(mount.value); });
}

void check(const HealthcheckInstruction& healthcheck) { make_healthcheck(healthcheck); }

template <typename Body>
void check(const Body&) {}

}  // namespace

void validate_instruction(const Instruction& instruction) {
  std::visit([](const auto& body) { check(body); }, instruction.body);
}

void validate_build_args(const std::map<std::string, std::string>& build_args) {
  const auto file_op = build_args.find("BUILDKIT_DISABLE_FILEOP");
  if (file_op == build_args.end() || parse_bool(file_op->second) != true) return;
  reject({}, "support for \"BUILDKIT_DISABLE_FILEOP\" build-arg was removed in BuildKit 0.11");
}

void validate_stages(const Dockerfile& dockerfile) {
  std::vector<Diagnostic> found;
  for (const Stage& stage : dockerfile.stages) {
    for (const Instruction& instruction : stage.instructions) {
      try {
        validate_instruction(instruction);
      } catch (const DiagnosticError& e) {
        found.insert(found.end(), e.diagnostics().begin(), e.diagnostics().end());
      }
    }
  }
  if (!found.empty()) throw DiagnosticError(std::move(found));
}

}  // namespace cbuild::frontend
