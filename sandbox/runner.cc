// SPDX-License-Identifier: Apache-2.0
#include "sandbox/runner.h"

#include <sys/resource.h>

#include <memory>

#include "base/text.h"
#include "sandbox/reactor.h"
#include "sandbox/setup.h"
#include "sandbox/zygote.h"

namespace cbuild::sandbox {
namespace {

class NamespaceRunner final : public Runner {
 public:
  NamespaceRunner(Zygote& zygote, const wire::Configure& configuration)
      : mode_(configuration.mode), reactor_(Reactor::make(zygote.impl().socket, configuration)) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~NamespaceRunner() override { reactor_->close(); }

  std::shared_ptr<RunningStep> run(const Spec& spec, RunCallbacks callbacks) override {
    setup::validate(spec, mode_);
    return reactor_->run(spec, std::move(callbacks));
  }

 private:
  const Mode mode_;
  std::shared_ptr<Reactor> reactor_;
};

}  // namespace

std::unique_ptr<Runner> make_namespace_runner(Zygote& zygote, const wire::Configure& configuration) {
  return std::make_unique<NamespaceRunner>(zygote, configuration);
}

std::unique_ptr<Runner> make_namespace_runner(Zygote& zygote, Mode mode) {
  wire::Configure configuration;
  configuration.mode = mode;
  return make_namespace_runner(zygote, configuration);
}

std::string describe_setup(const Spec& spec, Mode mode) {
  std::string text;
  for (const setup::Operation& operation : setup::make_plan(spec, mode, setup::HostTraits{}).operations)
    text += cat(setup::describe(operation), "\n");
  return text;
}

}  // namespace cbuild::sandbox
