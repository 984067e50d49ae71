// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "sandbox/spec.h"

namespace cbuild::sandbox {

/// Who can do something about a sandbox that could not be made.
enum class SetupFault : std::uint8_t {
  none,               ///< it was made
  machine,            ///< a kernel, a privilege or a resource that is missing
  disk_full,          ///< no block, inode or quota is left
  working_directory,  ///< the spec's directory cannot be entered
  user,               ///< this user namespace does not have the spec's ids
};

/// How a step ended.
struct Exit {
  int code = 0;  ///< exit code, 128+signal when killed
  bool timed_out = false, cancelled = false;
  std::int64_t wall_ns = 0;
  ResourceUse use;
  std::string
      setup_error;  ///< not empty: the sandbox could not be made ("mount overlay: Invalid argument"); code is 125
  SetupFault setup_fault = SetupFault::none;  ///< none exactly if setup_error is empty
};

/// A finer hold on a running step.
class RunningStep {
 public:
  virtual ~RunningStep() = default;
  /// TERM to the command, KILL to everything in the sandbox after `grace`. Idempotent, any thread.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

struct RunCallbacks {
  /// Output as it comes; called from the runner's own thread.
  std::function<void(LogStream, std::string_view)> output;
  /// Called exactly once, after all output, from the runner's own thread; must be quick (hand work to another thread).
  std::function<void(const Exit&)> done;
};

/// Starts commands in sandboxes. Seam: tests replace it, an OCI runtime can stand in.
class Runner {
 public:
  virtual ~Runner() = default;
  /// Returns at once. Throws Error only for a spec that is wrong in itself; everything later comes out of done().
  virtual std::shared_ptr<RunningStep> run(const Spec& spec, RunCallbacks callbacks) = 0;
};

/// The small process that clones the steps. fork()ed in main before any thread, pool or cache exists, because cloning a
/// large process is slow and cloning a threaded one is unsafe. It holds its own private mount namespace: no mount of a
/// step is ever visible outside, and all of them die with it.
class Zygote {
 public:
  /// Forks. Cheap (well under a millisecond); nothing else happens before the first run.
  static Zygote start();
  Zygote(Zygote&&) noexcept;
  Zygote& operator=(Zygote&&) noexcept;
  /// Kills all steps, ends the process, reaps it.
  ~Zygote();

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit Zygote(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The built-in executor: namespaces, overlay root, pivot_root, capabilities, seccomp. One reactor thread serves all
/// steps.
std::unique_ptr<Runner> make_namespace_runner(Zygote& zygote, Mode mode);

/// Whether this process has CAP_SYS_ADMIN, which root in most containers lacks.
bool may_mount();

/// A mode that does not work here.
struct Refusal {
  Mode mode;
  std::string what;    ///< the trial that failed, with the system's reason
  std::string remedy;  ///< the setting that would lift it; empty if none is known
};

/// The best mode that works here, found out by trying in a forked child.
struct ProbeResult {
  Mode mode = Mode::none;
  std::vector<Refusal> refused = {};    ///< each better mode that was tried
  std::vector<std::string> lacks = {};  ///< what a step does without in this mode, for the user

  /// The refusals in one line.
  std::string why() const;
};
ProbeResult probe(bool in_user_namespace);

/// Whether an overlay whose directories lie in `directory` (empty, to be thrown away) can be mounted, found out by
/// trying in a forked child. `user_xattr`: with the marks that root of a user namespace can set.
bool can_mount_overlay(int directory, bool user_xattr);

/// For an unprivileged caller: moves the calling single-threaded process into a new user and mount namespace with its
/// id ranges mapped by newuidmap and newgidmap (or only its own id where there are no ranges), so that it is root in
/// there. Returns the mapped ids in one line for the progress output. Throws Error{unsupported} with advice what to
/// change on the machine.
std::string enter_user_namespace();

/// The setting that would let a process make user namespaces, after making one failed with this errno.
std::string user_namespace_advice(int error);

/// The setup steps of `spec` as text, one a line. For tests and --debug; needs no privileges.
std::string describe_setup(const Spec& spec, Mode mode);

}  // namespace cbuild::sandbox
