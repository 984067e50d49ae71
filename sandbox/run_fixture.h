// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "sandbox/runner.h"
#include "sandbox/zygote.h"

/// For tests: an image with busybox, runs that wait for their end, and the content of the upper directory after them.
namespace cbuild::sandbox::testing {

struct Outcome {
  Exit exit;
  std::string out, err;
};

/// One layer with a static busybox, and for each spec a fresh upper directory.
class TestImage {
 public:
  TestImage();

  /// Descriptor of the layer's directory.
  int layer() const { return layer_.get(); }
  int dir() const { return dir_.fd(); }
  void make_directory(const std::string& path, mode_t mode = 0755);
  void write(const std::string& path, const std::string& text, mode_t mode = 0644);
  void link(const std::string& path, const std::string& to);

  /// For `sh -c script`, or for argv as it is.
  Spec spec(const std::string& script);
  Spec exec(std::vector<std::string> argv);
  /// The changes of the last run, as "path type[mode uid:gid] content", sorted.
  std::vector<std::string> upper() const;
  /// An O_PATH descriptor below dir(), kept open.
  int open(const std::string& path);
  /// The skeleton layer: an empty directory above the layer, made on first use.
  int skeleton();

 private:
  TempDir dir_;
  UniqueFd layer_, upper_, work_;
  std::vector<UniqueFd> opened_;
  int runs_ = 0;
};

/// A step under way.
class Running {
 public:
  Running(Runner& runner, const Spec& spec);
  ~Running();
  RunningStep& step() { return *step_; }
  /// Waits until the output holds `text`.
  void wait_for(const std::string& text);
  Outcome wait();

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::shared_ptr<RunningStep> step_;
};

/// A zygote with its runner.
class Sandbox {
 public:
  explicit Sandbox(const wire::Configure& configuration);
  explicit Sandbox(Mode mode = Mode::root);

  Runner& runner() { return *runner_; }
  Zygote& zygote() { return zygote_; }
  Outcome run(const Spec& spec);

 private:
  Zygote zygote_;
  std::unique_ptr<Runner> runner_;
};

/// Whether this machine lets root sandboxes run. Where it does not, tests have nothing to do; under CI that
/// is a failure.
bool can_run_as_root();

/// Runs `body` in a forked child and returns its text; a throw becomes "error: ...".
std::string in_child(const std::function<std::string()>& body);
/// The same as user nobody, with `subids` in /etc/subuid and /etc/subgid and, unless it is empty, `nsswitch` in
/// /etc/nsswitch.conf (in a mount namespace of its own).
std::string as_user(bool subids, const std::function<std::string()>& body, const std::string& nsswitch = "");

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Processes of this machine whose command line holds `marker`.
int count_processes(const std::string& marker);
/// Waits some seconds for count_processes() to become 0.
bool all_gone(const std::string& marker);

}  // namespace cbuild::sandbox::testing
