// SPDX-License-Identifier: Apache-2.0
#include "engine/services.h"

#include "engine/request/secrets.h"

namespace cbuild::engine {

Services::Services(const BuildRequest& wanted, const Session& own, ProgressSink& sink, const CancelSource& stop)
    : request(wanted),
      session(own),
      progress(sink),
      cancel(stop),
      store(store_options(session)),
      secrets(noting_secrets(request.steps.secrets, secret_values)),
      other_secret(noting_finder(request.steps.other_secret, secret_values)),
      remote(store, request.sources, progress, cancel),
      ssh(agents.serve(request.steps.ssh, request.steps.agent_environment)),
      sources(store, {secrets, other_secret, ssh, request.steps.other_agent}, request.sources, progress, cancel),
      contexts(store, sources, [this](const solver::Op& source) { return fetch_source(for_sources(), source); }),
      images(store, remote, request.sources.pull) {}

solver::ops::BuildServices Services::for_sources() {
  return {.store = store,
          .progress = progress,
          .cancel = cancel,
          .fetch_blob = remote.fetcher(),
          .network = sources.access()};
}

}  // namespace cbuild::engine
