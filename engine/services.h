// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/store.h"
#include "engine/remote.h"
#include "engine/remote_contexts.h"
#include "engine/request/key_agents.h"
#include "engine/request/network_sources.h"
#include "engine/request/request.h"
#include "engine/request/secrets.h"
#include "engine/session.h"
#include "solver/ops/executor.h"

namespace cbuild::engine {

/// The store and the sources of one build, for all passes. Opens the store and starts the
/// agents; no registry or server is asked before something is wanted of it.
struct Services {
  /// The arguments must outlive it. Throws Error.
  Services(const BuildRequest& wanted, const Session& own, ProgressSink& sink, const CancelSource& stop);

  /// Enough to carry out ops that are sources; a graph with other ops needs more.
  solver::ops::BuildServices for_sources();

  const BuildRequest& request;
  const Session& session;
  ProgressSink& progress;
  const CancelSource& cancel;
  cache::Store store;
  solver::ops::SecretValues secret_values;  ///< those that were read
  const std::vector<Secret> secrets;        ///< of the request, noting what is read
  const SecretFinder other_secret;          ///< the same
  Remote remote;
  KeyAgents agents;
  const std::vector<SshSource> ssh;  ///< each with a socket
  NetworkSources sources;
  RemoteContexts contexts;
  StoreImageResolver images;
};

}  // namespace cbuild::engine
