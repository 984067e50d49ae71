// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cbuild {

/// Call it before users or hosts are looked up through the C library. In the static program it limits lookups to what
/// is linked in: /etc/passwd, /etc/group, /etc/hosts and DNS. Without it glibc would load the modules that
/// /etc/nsswitch.conf names, which belong to the C library of this machine, a different one. In the dynamic program it
/// does nothing. Thread-safe.
void use_builtin_name_services();

}  // namespace cbuild
