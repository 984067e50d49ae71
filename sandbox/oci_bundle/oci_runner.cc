// SPDX-License-Identifier: Apache-2.0
// A step becomes a bundle, and the command that the sandbox's process starts is the runtime. The runtime is the first
// process of a pid namespace and sees mounts that nobody else has, so killing it leaves nothing but the bundle's
// directory and control groups; both are removed when the step is over.
#include "sandbox/oci_bundle/oci_runner.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/host_traits.h"
#include "sandbox/oci_bundle/config_json.h"

namespace cbuild::sandbox::oci {
namespace {

/// The bounding set: root of a container may not have all, and a runtime refuses to give what it has not.
std::uint64_t held_capabilities() {
  std::uint64_t set = 0;
  for (int number = 0; number < 64; ++number)
    if (::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1) set |= std::uint64_t{1} << number;
  return set;
}

/// What the runtime needs to be told of the machine; looked up once.
struct Machine {
  setup::HostTraits traits = detect_host_traits();
  std::uint64_t held = held_capabilities();
  bool unified = sys::try_stat_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers").has_value();
};

class OciRunner final : public Runner {
 public:
  OciRunner(std::unique_ptr<Runner> inner, OciSettings settings)
      : inner_(std::move(inner)), settings_(std::move(settings)) {
    while (::getrandom(&unique_, sizeof unique_, 0) != sizeof unique_) {
    }
  }

  std::shared_ptr<RunningStep> run(const Spec& spec, RunCallbacks callbacks) override {
    if (spec.network_fd >= 0)
      throw Error(ErrorCode::unsupported, "an OCI runtime cannot run steps in a network of ours")
          .with_hint("--network host or none, or build without --runtime");
    const BundlePlace place = settings_.place();
    const std::string name = cat("cbuild-", unique_, "-", ++count_);
    write_bundle(spec, place.path, name);
    RunCallbacks wrapped{std::move(callbacks.output),
                         [done = std::move(callbacks.done), place](const Exit& exit) { done(exit); }};
    return inner_->run(runtime_spec(spec, place.path, name), std::move(wrapped));
  }

 private:
  /// In the parent that the user gives, else next to the builder's own; version 2 takes no group below one with
  /// members.
  std::string cgroup_of(const Spec& spec, const std::string& name) const {
    if (!spec.cgroup_parent.empty()) return clean_path(cat("/", spec.cgroup_parent, "/", name));
    return machine_.unified ? cat("/", name) : name;
  }

  void write_bundle(const Spec& spec, const std::string& directory, const std::string& name) const {
    const UniqueFd at = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    for (const char* part : {"mounts", "scratch", "state"}) sys::mkdir_at(at.get(), part, 0700);
    sys::write_file_at(at.get(), "config.json",
                       config_json(spec, {cgroup_of(spec, name), machine_.traits.thermal_paths, machine_.held,
                                          machine_.traits.labels}),
                       0600);
  }

  Spec runtime_spec(const Spec& spec, const std::string& directory, const std::string& name) const {
    Spec out = spec;
    out.argv = {settings_.runtime, "--root", cat(directory, "/state"), "run", "--bundle", directory, name};
    out.environment = {cat("PATH=", program_path())};
    out.working_dir = "/";
    out.bundle = directory;
    out.cgroup_parent = cgroup_of(spec, name);
    out.resources = {};
    return out;
  }

  const std::unique_ptr<Runner> inner_;
  const OciSettings settings_;
  const Machine machine_;
  std::uint32_t unique_ = 0;
  std::atomic<std::uint64_t> count_ = 0;
};

}  // namespace

std::string find_runtime(const std::string& name) {
  const bool is_path = name.find('/') != std::string::npos;
  if (is_path && ::access(name.c_str(), X_OK) == 0) return name;
  if (const std::string found = is_path ? "" : find_program(name, program_path()); !found.empty()) return found;
  throw Error(ErrorCode::unsupported, cat("--runtime: ", name, " is not a program of this machine"))
      .with_hint("install runc, give its path, or leave --runtime out");
}

std::unique_ptr<Runner> make_oci_runner(std::unique_ptr<Runner> inner, OciSettings settings) {
  return std::make_unique<OciRunner>(std::move(inner), std::move(settings));
}

}  // namespace cbuild::sandbox::oci
