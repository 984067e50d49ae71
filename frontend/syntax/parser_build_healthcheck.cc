// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <limits>
#include <string>

#include "base/text.h"
#include "frontend/syntax/flags.h"
#include "frontend/syntax/parser_build.h"

namespace cbuild::frontend {
namespace {

constexpr std::array<FlagSpec, 5> kFlags = {{{"interval", FlagKind::text},
                                             {"timeout", FlagKind::text},
                                             {"start-period", FlagKind::text},
                                             {"start-interval", FlagKind::text},
                                             {"retries", FlagKind::text}}};

void check_duration(const char* name, const std::optional<Text>& flag, Report& report) {
  constexpr std::int64_t kMinimumNs = 1'000'000;
  if (!flag) return;
  const auto ns = parse_duration_ns(flag->value);
  if (!ns) {
    const bool no_unit = flag->value.find_first_not_of("0123456789") == std::string::npos;
    report.error(flag->span,
                 cat(no_unit ? "time: missing unit in duration " : "time: invalid duration ", go_quote(flag->value)),
                 "write a number with a unit: 500ms, 30s, 1m30s, 2h");
  } else if (*ns != 0 && *ns < kMinimumNs) {
    report.error(flag->span, cat("Interval ", go_quote(name), " cannot be less than 1ms"));
  }
}

void check_retries(const std::optional<Text>& flag, Report& report) {
  using Limits = std::numeric_limits<std::int32_t>;
  if (!flag) return;
  const auto count = parse_int(flag->value);
  if (!count || *count > Limits::max() || *count < Limits::min()) {
    report.error(flag->span, cat("strconv.ParseInt: parsing ", go_quote(flag->value), ": ",
                                 count ? "value out of range" : "invalid syntax"));
  } else if (*count < 0) {
    report.error(flag->span, cat("--retries cannot be negative (", *count, ")"));
  }
}

void build_flags(const Statement& statement, Report& report, HealthcheckInstruction& check) {
  const FlagSet flags(statement.flags, kFlags, report);
  check.interval = flags.text("interval");
  check.timeout = flags.text("timeout");
  check.start_period = flags.text("start-period");
  check.start_interval = flags.text("start-interval");
  check.retries = flags.text("retries");
  check_duration("interval", check.interval, report);
  check_duration("timeout", check.timeout, report);
  check_duration("start-period", check.start_period, report);
  check_duration("start-interval", check.start_interval, report);
  check_retries(check.retries, report);
}

bool is_missing(const CommandLine& command) {
  return command.arguments.empty() || (!command.exec_form && command.arguments.front().value.empty());
}

}  // namespace

InstructionBody build_healthcheck(const Statement& statement, Report& report) {
  HealthcheckInstruction check;
  const TypeAndRest parts = parse_healthcheck(statement.view(statement.rest));
  const Range type = statement.in_rest(parts.type);
  const Range rest{statement.rest.begin + parts.rest, statement.rest.end};
  if (type.begin == type.end) {
    report.error(statement.arguments_span(), "HEALTHCHECK requires at least one argument",
                 "write HEALTHCHECK CMD <command> or HEALTHCHECK NONE");
    return check;
  }
  auto command = command_arguments(statement, rest, report);
  if (!command) return check;
  const std::string word = to_upper(statement.view(type));
  if (word == "NONE") {
    // Its flags are ignored, as in BuildKit.
    check.none = true;
    if (!is_missing(*command)) report.error(statement.span(rest), "HEALTHCHECK NONE takes no arguments");
    return check;
  }
  build_flags(statement, report, check);
  if (word != "CMD") {
    report.error(statement.span(type), cat("Unknown type ", go_quote(word), " in HEALTHCHECK (try CMD)"));
  } else if (is_missing(*command)) {
    report.error(statement.span(type), "Missing command after HEALTHCHECK CMD");
  }
  check.command = std::move(*command);
  return check;
}

}  // namespace cbuild::frontend
