// SPDX-License-Identifier: Apache-2.0
#include "engine/services.h"

#include "engine/secrets.h"

namespace cbuild::engine {

Services::Services(const BuildRequest& wanted, const Session& own, ProgressSink& sink, const CancelSource& stop)
    : request(wanted),
      session(own),
      progress(sink),
      cancel(stop),
      store({.root = session.root, .user_xattr = session.user_xattr}),
      remote(store, request.sources, progress, cancel),
      ssh(agents.serve(request.steps.ssh, request.steps.agent_environment)),
      sources(store, request.steps.secrets, ssh, request.sources, progress, cancel),
      contexts(store, sources, [this](const solver::Op& source) { return bring_source(for_sources(), source); }),
      images(store, remote, request.sources.pull) {}

solver::ops::BuildServices Services::for_sources() {
  solver::ops::BuildServices out{.store = store, .runner = nullptr, .fetch_blob = remote.fetcher()};
  out.progress = &progress;
  out.cancel = &cancel;
  out.secrets = make_secrets(request.steps.secrets);
  sources.offer_to(out);
  return out;
}

}  // namespace cbuild::engine
