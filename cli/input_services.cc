// SPDX-License-Identifier: Apache-2.0
#include "cli/input_services.h"

#include <unistd.h>

#include <functional>

#include "base/cancel.h"
#include "base/error.h"
#include "cli/progress_views.h"
#include "cli/remote.h"
#include "cli/secrets.h"
#include "cli/session.h"
#include "cli/ssh_keys.h"

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
      : options(line.build),
        session(start_session(line.root)),
        interrupts(cancel),
        progress(make_progress_view(line.build.progress, STDERR_FILENO)),
        store({.root = session.root, .user_xattr = session.user_xattr}),
        remote(store, options, *progress, cancel),
        sources(store, make_secrets(options), key_agents.serve(options.ssh), options.transfer_limits, *progress,
                cancel),
        contexts(store, sources, [this](const solver::Op& source) { return bring_source(services(), source); }),
        images(store, remote, options.pull) {
    sources.obey(options.source_policy);
  }

  solver::ops::BuildServices services() {
    solver::ops::BuildServices out{.store = store, .runner = nullptr, .fetch_blob = remote.fetcher()};
    out.progress = progress.get();
    out.cancel = &cancel;
    out.secrets = make_secrets(options);
    sources.offer_to(out);
    return out;
  }

  const BuildOptions& options;
  Session session;
  CancelSource cancel;
  Interrupts interrupts;
  std::unique_ptr<ProgressSink> progress;
  cache::Store store;
  Remote remote;
  KeyAgents key_agents;
  NetworkSources sources;
  RemoteContexts contexts;
  StoreImageResolver images;
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
NetworkSources& InputServices::sources() { return impl().sources; }
RemoteContexts& InputServices::contexts() { return impl().contexts; }
frontend::ImageResolver& InputServices::images() { return *images_; }

}  // namespace cbuild::cli
