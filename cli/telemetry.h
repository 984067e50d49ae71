// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/session.h"

namespace cbuild::cli {

/// Sends a build of the history to the collector that OpenTelemetry's environment names
/// (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT); does nothing without one, or for an empty id.
/// A failure is a note on stderr: it is never that of the build. Takes no longer than OTEL_EXPORTER_OTLP_TIMEOUT.
void send_trace(const engine::Session& session, const std::string& build);

}  // namespace cbuild::cli
