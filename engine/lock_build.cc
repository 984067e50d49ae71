// SPDX-License-Identifier: Apache-2.0
// A lock file is made by lowering all stages with a SourceLock that writes down what it is asked for: what a build of
// these platforms can reach is then found by the same code that builds it, also what ONBUILD of a base adds.
#include "engine/lock_build.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/text.h"
#include "engine/inputs.h"
#include "engine/request/secrets.h"
#include "engine/source_lock.h"
#include "frontend/syntax/parser.h"
#include "oci/reference.h"

namespace cbuild::engine {
namespace {

/// Whether a person who writes `wanted` means that source.
bool is_called(const supply::LockedSource& source, const std::string& wanted) {
  if (source.name == supply::lock_name(wanted)) return true;
  if (source.kind != supply::LockKind::image) return false;
  try {
    return oci::parse_reference(wanted).str() == source.name;
  } catch (const Error&) {
    return false;
  }
}

class LockRecorder final : public frontend::SourceLock {
 public:
  LockRecorder(Services& services, const LockPlan& plan, const supply::LockFile& before)
      : services_(services), plan_(plan), before_(before) {}

  Digest lock_image(const std::string& name, const Span& where) override {
    const auto present = [&] {
      return supply::LockedSource{supply::LockKind::image, name, services_.images.present(name).str(), {}};
    };
    return *Digest::parse(take(supply::LockKind::image, name, where, present).digest);
  }

  Digest lock_url(const std::string& url, const Span& where) override {
    const auto present = [&] {
      std::string place = url;
      Digest expected;  // of the policy
      services_.sources.redirect_url(place, expected);
      const Digest content = services_.sources.pin_url(place, expected).content;
      return supply::LockedSource{supply::LockKind::url, supply::lock_name(url), content.str(), {}};
    };
    return *Digest::parse(take(supply::LockKind::url, supply::lock_name(url), where, present).digest);
  }

  void lock_git(frontend::GitRef& ref, const Span& where) override {
    const std::string name = supply::lock_name(ref.remote, ref.ref);
    const auto present = [&] {
      const frontend::PinnedCommit found = present_commit(services_.sources, ref);
      return supply::LockedSource{supply::LockKind::git, name, found.commit, found.ref};
    };
    const supply::LockedSource& locked = take(supply::LockKind::git, name, where, present);
    ref.checksum = locked.digest;
    if (!locked.ref.empty()) ref.ref = locked.ref;
  }

  void explain(Error&) const override {}

  /// Sources in the order of the Dockerfile.
  std::vector<supply::LockedSource> sources;
  std::vector<LockChange> changes;

 private:
  /// What is locked stays, also where it moved, so that what it leads to is found; the check looks at the present.
  const supply::LockedSource& take(supply::LockKind kind, const std::string& name, const Span& where,
                                   const std::function<supply::LockedSource()>& present) {
    const auto known =
        std::find_if(sources.begin(), sources.end(), [&](const auto& s) { return s.kind == kind && s.name == name; });
    if (known != sources.end()) return *known;
    const supply::LockedSource* before = before_.find(kind, name);
    const supply::LockedSource now = before != nullptr && !is_asked(*before) ? *before : present();
    if (before == nullptr)
      changes.push_back({{}, now, place_of(where)});
    else if (*before != now)
      changes.push_back({*before, now, place_of(where)});
    sources.push_back(now);
    return sources.back();
  }

  bool is_asked(const supply::LockedSource& source) const {
    return plan_.check || plan_.update_all ||
           std::any_of(plan_.update.begin(), plan_.update.end(),
                       [&](const std::string& wanted) { return is_called(source, wanted); });
  }

  Services& services_;
  const LockPlan& plan_;
  const supply::LockFile& before_;
};

void lower_all_stages(Services& services, const BuildInputs& inputs, const supply::LockFile& before,
                      LockRecorder& recorder) {
  const BuildRequest& request = services.request;
  frontend::Checks checks = make_checks(request.inputs);
  const frontend::Dockerfile dockerfile = frontend::parse_dockerfile(inputs.dockerfile, parse_options(inputs, checks));
  frontend::LowerOptions options = lower_options(request, inputs);
  options.callbacks.pinner = &services.sources;
  options.callbacks.lock = &recorder;
  options.secret_hashes = secret_hashes(services.secrets, services.store);
  options.all_stages = true;
  if (request.inputs.platforms.empty() && !before.platforms.empty()) {
    options.platforms.clear();
    for (const std::string& name : before.platforms) options.platforms.push_back(*oci::parse_platform(name));
    options.target_platform = options.platforms.front();
    options.platform_given = true;
    options.multi_platform = options.platforms.size() > 1;
  }
  frontend::lower_targets(dockerfile, options, {""}, services.images);
}

void check_names(const LockPlan& plan, const std::vector<supply::LockedSource>& sources) {
  for (const std::string& wanted : plan.update)
    if (std::none_of(sources.begin(), sources.end(), [&](const auto& source) { return is_called(source, wanted); }))
      throw Error(ErrorCode::usage, cat("--update: ", wanted, " is not a source of the Dockerfile"));
}

}  // namespace

LockResult lock_sources(Services& services, const LockPlan& plan) {
  const InputSettings& settings = services.request.inputs;
  const BuildInputs inputs = read_inputs(settings, services.request.sources.policy.get(),
                                         [&]() -> RemoteContexts& { return services.contexts; });
  if (inputs.lock_path.empty())
    throw Error(ErrorCode::usage, "the Dockerfile is not a file of this machine, so there is no place for a lock file")
        .with_hint("name one with --lock FILE");
  const supply::LockFile before =
      inputs.lock ? supply::parse_lock_file(*inputs.lock, inputs.lock_name) : supply::LockFile{};
  LockRecorder recorder(services, plan, before);
  lower_all_stages(services, inputs, before, recorder);
  check_names(plan, recorder.sources);
  LockResult out{{before.platforms, std::move(recorder.sources)}, std::move(recorder.changes), inputs.lock_path};
  if (!settings.platforms.empty()) out.lock.platforms.clear();
  for (const oci::Platform& platform : settings.platforms) out.lock.platforms.push_back(platform.str());
  for (const supply::LockedSource& source : before.sources)
    if (out.lock.find(source.kind, source.name) == nullptr) out.changes.push_back({source, {}, {}});
  return out;
}

}  // namespace cbuild::engine
