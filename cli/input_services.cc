// SPDX-License-Identifier: Apache-2.0
#include "cli/input_services.h"

#include <unistd.h>

#include <functional>

#include "base/cancel.h"
#include "base/process/interrupts.h"
#include "cli/report/progress_views.h"
#include "engine/services.h"
#include "engine/session.h"

namespace cbuild::cli {
namespace {

class LateImages final : public frontend::ImageResolver {
 public:
  explicit LateImages(std::function<frontend::ImageResolver&()> images) : images_(std::move(images)) {}
  frontend::ResolvedImage resolve(const std::string& reference, const Digest& locked,
                                  const oci::Platform& platform) override {
    return images_().resolve(reference, locked, platform);
  }

 private:
  std::function<frontend::ImageResolver&()> images_;
};

}  // namespace

struct InputServices::Impl {
  explicit Impl(const BuildLine& line)
      : session(engine::start_session(line.root)),
        interrupts(cancel),
        progress(make_progress_view(line.progress, STDERR_FILENO)),
        services(line.request, session, *progress, cancel) {}

  engine::Session session;
  CancelSource cancel;
  Interrupts interrupts;
  std::unique_ptr<ProgressSink> progress;
  engine::Services services;
};

InputServices::InputServices(const BuildLine& line)
    : line_(line),
      images_(std::make_unique<LateImages>([this]() -> frontend::ImageResolver& { return all().images; })) {}
InputServices::~InputServices() = default;

InputServices::Impl& InputServices::impl() {
  if (!impl_) impl_ = std::make_unique<Impl>(line_);
  return *impl_;
}

engine::Services& InputServices::all() { return impl().services; }
frontend::ImageResolver& InputServices::images() { return *images_; }

}  // namespace cbuild::cli
