// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

namespace cbuild::sys {

/// Sets the owner of `name` below dirfd, not following a symlink; of `dirfd` itself where `name` is empty. An id that a
/// user namespace does not map is Error{denied} with a hint.
void set_owner(int dirfd, const char* name, uid_t uid, gid_t gid);

/// Sets owner and permission bits of an open directory; the owner first, which clears the special bits. `what` names it
/// in an error about the bits.
void set_owner_and_mode(int directory, uid_t uid, gid_t gid, mode_t mode, const char* what);

}  // namespace cbuild::sys
