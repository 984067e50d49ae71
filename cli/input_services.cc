// SPDX-License-Identifier: Apache-2.0
#include "cli/input_services.h"

#include <unistd.h>

#include <functional>

#include "base/cancel.h"
#include "base/error.h"
#include "cli/interrupts.h"
#include "cli/progress_views.h"
#include "engine/key_agents.h"
#include "engine/remote.h"
#include "engine/secrets.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

class LateImages final : public frontend::ImageResolver {
 public:
  explicit LateImages(std::function<frontend::ImageResolver&()> images) : images_(std::move(images)) {}
  frontend::ResolvedImage resolve(const std::string& reference, const oci::Platform& platform) override {
    return images_().resolve(reference, platform);
  }

 private:
  std::function<frontend::ImageResolver&()> images_;
};

}  // namespace

struct InputServices::Impl {
  explicit Impl(const BuildLine& line)
      : request(line.request),
        session(engine::start_session(line.root)),
        interrupts(cancel),
        progress(make_progress_view(line.progress, STDERR_FILENO)),
        store({.root = session.root, .user_xattr = session.user_xattr}),
        remote(store, request.sources, *progress, cancel),
        sources(store, request.steps.secrets, key_agents.serve(request.steps.ssh, request.steps.agent_environment),
                request.sources, *progress, cancel),
        contexts(store, sources, [this](const solver::Op& source) { return engine::bring_source(services(), source); }),
        images(store, remote, request.sources.pull) {}

  solver::ops::BuildServices services() {
    solver::ops::BuildServices out{.store = store, .runner = nullptr, .fetch_blob = remote.fetcher()};
    out.progress = progress.get();
    out.cancel = &cancel;
    out.secrets = engine::make_secrets(request.steps.secrets);
    sources.offer_to(out);
    return out;
  }

  const engine::BuildRequest& request;
  engine::Session session;
  CancelSource cancel;
  Interrupts interrupts;
  std::unique_ptr<ProgressSink> progress;
  cache::Store store;
  engine::Remote remote;
  engine::KeyAgents key_agents;
  engine::NetworkSources sources;
  engine::RemoteContexts contexts;
  engine::StoreImageResolver images;
};

InputServices::InputServices(const BuildLine& line)
    : line_(line),
      images_(std::make_unique<LateImages>([this]() -> frontend::ImageResolver& { return impl().images; })) {}
InputServices::~InputServices() = default;

InputServices::Impl& InputServices::impl() {
  if (!impl_) impl_ = std::make_unique<Impl>(line_);
  return *impl_;
}

cache::Store& InputServices::store() { return impl().store; }
engine::NetworkSources& InputServices::sources() { return impl().sources; }
engine::RemoteContexts& InputServices::contexts() { return impl().contexts; }
frontend::ImageResolver& InputServices::images() { return *images_; }

}  // namespace cbuild::cli
