// SPDX-License-Identifier: Apache-2.0
#include "engine/step_runner.h"

#include "base/error.h"
#include "cache/gc/gc.h"

namespace cbuild::engine {

sandbox::Runner& StepRunner::get() {
  const std::lock_guard lock(mutex_);
  if (runner_) return *runner_;
  const Session& session = services_.session;
  ProgressSink& progress = services_.progress;
  const BuildRequest& request = services_.request;
  if (!session.zygote) throw Error(ErrorCode::unsupported, "this session has no process that starts commands");
  if (session.unprivileged) progress.on_event(RunNote{Severity::note, session.user_namespace});
  runner_ = sandbox::make_namespace_runner(
      *session.zygote, choose_isolation(request.steps.isolation, request.tell_isolation, session, progress));
  cache::clean_up_leftovers(services_.store);
  return *runner_;
}

}  // namespace cbuild::engine
