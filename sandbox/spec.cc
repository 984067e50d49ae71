// SPDX-License-Identifier: Apache-2.0
#include "sandbox/spec.h"

namespace cbuild::sandbox {

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::root:
      return "root";
    case Mode::user_namespace:
      return "user-namespace";
    case Mode::masked_proc:
      return "masked-proc";
    case Mode::chroot:
      return "chroot";
    case Mode::none:
      return "none";
  }
  return "none";
}

const std::vector<std::pair<std::string, bool>>& standard_targets() {
  static const std::vector<std::pair<std::string, bool>> targets = {
      {"/proc", true}, {"/dev", true}, {"/sys", true}, {"/etc/resolv.conf", false}, {"/etc/hosts", false},
  };
  return targets;
}

}  // namespace cbuild::sandbox
