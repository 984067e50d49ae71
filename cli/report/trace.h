// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/build_entry.h"

/// A build of the history as a trace: a span for the build, and one in it for each step that ran, with the names that
/// BuildKit gives them.
namespace cbuild::cli {

/// The format of chrome://tracing and ui.perfetto.dev ("Trace Event Format", JSON object form). Steps that ran at the
/// same time lie in rows of their own.
nlohmann::ordered_json chrome_trace(const engine::BuildEntry& build);

/// The trace that a build is part of.
struct TraceContext {
  std::string trace_id, parent_id;  ///< 32 and 16 hex digits; empty: a trace of its own
  std::vector<std::pair<std::string, std::string>> resource = {{"service.name", "cbuild"}};  ///< attributes
};

/// Takes the ids of a W3C traceparent ("00-TRACE-PARENT-FLAGS") over; a value that is none changes nothing.
void set_parent(std::string_view traceparent, TraceContext& context);

/// The body of an export request of OTLP 1.x over HTTP, JSON encoding (opentelemetry.io/docs/specs/otlp). Ids follow
/// from the build, so sending it twice gives the same spans.
nlohmann::ordered_json otlp_trace(const engine::BuildEntry& build, const TraceContext& context);

}  // namespace cbuild::cli
