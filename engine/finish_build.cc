// SPDX-License-Identifier: Apache-2.0
#include "engine/finish_build.h"

#include "base/error.h"
#include "base/text.h"
#include "cache/gc/gc.h"

namespace cbuild::engine {
namespace {

/// Cheap unless the store is over its limits or a day has passed.
void collect_garbage(Services& services) {
  try {
    const std::vector<cache::Usage::Item> removed = cache::collect_if_due(services.store);
    std::uint64_t bytes = 0;
    for (const cache::Usage::Item& item : removed) bytes += item.bytes;
    if (!removed.empty())
      services.progress.on_event(
          RunNote{Severity::note, cat("gc: removed ", removed.size(), " unused things, ", format_size(bytes))});
  } catch (const Error& error) {
    services.progress.on_event(RunNote{Severity::warning, cat("gc: ", error.what())});
  }
}

}  // namespace

void finish_build(Services& services, const StepRunner& runner, BuildResult& result) {
  if (result.steps_cached == result.steps_total && !result.failure) return;
  try {
    if (!runner.was_needed()) cache::clean_up_leftovers(services.store);
    if (services.request.sync == Sync::end) services.store.make_durable();
    result.sync_later = services.request.sync == Sync::later;
  } catch (const Error& error) {
    // Nothing is lost but the certainty that the next build finds its steps after a power loss.
    services.progress.on_event(RunNote{Severity::warning, cat("the store was not synced: ", error.what())});
  }
  collect_garbage(services);
}

}  // namespace cbuild::engine
