// SPDX-License-Identifier: Apache-2.0
// The answers of kernels with AppArmor or SELinux, as files.
#include "sandbox/confine/labels.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/test_skip.h"
#include "base/text.h"

using namespace cbuild;
using namespace cbuild::sandbox::confine;

namespace {

/// The files of a machine that count.
class FakeMachine {
 public:
  void add(const std::string& path, const std::string& text) {
    std::string directory = dir_.path();
    for (const std::string& part : split(dir_name(path), '/')) {
      if (part.empty()) continue;
      directory += cat("/", part);
      if (!sys::try_stat_at(AT_FDCWD, directory)) sys::mkdir_at(AT_FDCWD, directory, 0755);
    }
    sys::write_file_at(AT_FDCWD, cat(dir_.path(), path), text);
  }
  void add_apparmor() { add("/sys/module/apparmor/parameters/enabled", "Y\n"); }
  void add_selinux() {
    add("/sys/fs/selinux/enforce", "1");
    add("/etc/selinux/config", "# comment\nSELINUX=enforcing\nSELINUXTYPE=mls\n");
    add("/etc/selinux/mls/contexts/lxc_contexts",
        "process = \"system_u:system_r:container_t:s0\"\nfile = \"system_u:object_r:container_file_t:s0\"\n");
  }
  LabelSupport detect() const { return detect_labels(dir_.path()); }

 private:
  TempDir dir_ = TempDir::in_tmp("labels-test");
};

}  // namespace

TEST_CASE("a machine without either labels nothing, and cannot be asked to") {
  FakeMachine machine;
  CHECK(machine.detect() == LabelSupport{});
  machine.add("/sys/module/apparmor/parameters/enabled", "N\n");
  CHECK(machine.detect() == LabelSupport{});
  CHECK(choose_labels({}, {}, false) == StepLabels{});
  Security security;
  security.apparmor = "unconfined";
  security.label_options = {"disable"};
  CHECK(choose_labels({}, security, false) == StepLabels{});
  security.apparmor = "mine";
  CHECK_THROWS_WITH_AS(choose_labels({}, security, false), "apparmor=mine: this machine has no AppArmor", Error);
  security.apparmor.clear();
  security.label_options = {"type:t"};
  CHECK_THROWS_WITH_AS(choose_labels({}, security, false), "label=type:t: this machine has no SELinux", Error);
}

TEST_CASE("AppArmor: our profile where it is loaded, another by name, none for insecure steps") {
  FakeMachine machine;
  machine.add_apparmor();
  LabelSupport support = machine.detect();
  CHECK(support.apparmor_attribute == "/proc/self/attr/exec");
  CHECK(choose_labels(support, {}, false) == StepLabels{});
  machine.add("/proc/self/attr/apparmor/exec", "");
  machine.add("/sys/kernel/security/apparmor/profiles", "docker-default (enforce)\ncbuild-default (enforce)\n");
  support = machine.detect();
  CHECK(support.has_default_profile);
  const LabelWrite ours{"/proc/self/attr/apparmor/exec", "exec cbuild-default", false};
  CHECK(choose_labels(support, {}, false).writes == std::vector{ours});
  CHECK(choose_labels(support, {}, true).writes.empty());
  Security security;
  security.apparmor = "mine";
  CHECK(choose_labels(support, security, false).writes ==
        std::vector{LabelWrite{"/proc/self/attr/apparmor/exec", "exec mine", true}});
  security.apparmor = "unconfined";
  CHECK(choose_labels(support, security, false).writes.empty());
}

TEST_CASE("AppArmor: our profile is loaded once, where that is allowed") {
  FakeMachine machine;
  machine.add_apparmor();
  std::vector<std::vector<std::string>> commands;
  int code = 1;
  const auto run = [&](const std::vector<std::string>& argv, const std::string& input) {
    commands.push_back(argv);
    CHECK(input == default_apparmor_profile());
    return code;
  };
  LabelSupport support = machine.detect();
  load_default_profile(support, run);
  CHECK_FALSE(support.has_default_profile);
  code = 0;
  load_default_profile(support, run);
  CHECK(support.has_default_profile);
  load_default_profile(support, run);
  LabelSupport none;
  load_default_profile(none, run);
  CHECK(commands.size() == 2);
  CHECK(commands[0][0] == "apparmor_parser");
}

TEST_CASE("SELinux: the labels of the machine's policy for containers, with the user's parts") {
  FakeMachine machine;
  machine.add_selinux();
  const LabelSupport support = machine.detect();
  StepLabels labels = choose_labels(support, {}, false);
  CHECK(labels.writes == std::vector{LabelWrite{"/proc/self/attr/exec", "system_u:system_r:container_t:s0", false}});
  CHECK(labels.mount_context == "system_u:object_r:container_file_t:s0");
  Security security;
  security.label_options = {"type:spc_t", "level:s0:c1,c2"};
  labels = choose_labels(support, security, false);
  CHECK(labels.writes == std::vector{LabelWrite{"/proc/self/attr/exec", "system_u:system_r:spc_t:s0:c1,c2", true}});
  CHECK(labels.mount_context == "system_u:object_r:container_file_t:s0:c1,c2");
  security.label_options = {"disable"};
  CHECK(choose_labels(support, security, false) == StepLabels{});
  CHECK(choose_labels(support, {}, true) == StepLabels{});
}

TEST_CASE("AppArmor: our profile is one for its parser") {
  const std::string parser = "/usr/sbin/apparmor_parser";
  if (!test::can_run(sys::try_stat_at(AT_FDCWD, parser).has_value(), "apparmor_parser")) return;
  const CommandResult result =
      run_command({parser, "--skip-kernel-load", "--skip-cache"}, {.input = default_apparmor_profile()});
  CHECK_MESSAGE(result.exit_code == 0, result.err);
}
