// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/config_healthcheck.h"

#include <limits>

#include "base/text.h"
#include "frontend/stages/lower_diagnostic.h"

namespace cbuild::frontend {

namespace {

constexpr std::int64_t kMinimumNs = 1'000'000;

std::int64_t duration_ns(const char* name, const std::optional<Text>& flag) {
  if (!flag || flag->value.empty()) return 0;
  const std::optional<std::int64_t> ns = parse_duration_ns(flag->value);
  if (!ns) {
    const bool no_unit = parse_int(flag->value).has_value();
    const char* problem = no_unit ? "time: missing unit in duration " : "time: invalid duration ";
    reject(flag->span, cat(problem, go_quote(flag->value)), "write a number with a unit: 500ms, 30s, 1m30s, 2h");
  }
  if (*ns != 0 && *ns < kMinimumNs) {
    reject(flag->span, cat("Interval ", go_quote(name), " cannot be less than 1ms"));
  }
  return *ns;
}

std::int64_t retry_count(const std::optional<Text>& flag) {
  if (!flag || flag->value.empty()) return 0;
  const std::optional<std::int64_t> count = parse_int(flag->value);
  if (!count || *count > std::numeric_limits<std::int32_t>::max() ||
      *count < std::numeric_limits<std::int32_t>::min()) {
    reject(flag->span, cat("strconv.ParseInt: parsing ", go_quote(flag->value), ": ",
                           count ? "value out of range" : "invalid syntax"));
  }
  if (*count < 0) reject(flag->span, cat("--retries cannot be negative (", *count, ")"));
  return *count;
}

}  // namespace

oci::Healthcheck make_healthcheck(const HealthcheckInstruction& instruction) {
  oci::Healthcheck out;
  if (instruction.none) {
    out.test = {"NONE"};
    return out;
  }
  out.test = {instruction.command.exec_form ? "CMD" : "CMD-SHELL"};
  for (const Text& word : instruction.command.arguments) out.test.push_back(word.value);
  out.interval_ns = duration_ns("interval", instruction.interval);
  out.timeout_ns = duration_ns("timeout", instruction.timeout);
  out.start_period_ns = duration_ns("start-period", instruction.start_period);
  out.start_interval_ns = duration_ns("start-interval", instruction.start_interval);
  out.retries = retry_count(instruction.retries);
  return out;
}

}  // namespace cbuild::frontend
