// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "api/session/file_stat.h"

namespace cbuild::api {

/// Gives `sink` every entry below `root_fd` in the order in which trees are sent: by the bytes of the names, a
/// directory before what is in it. Of several names of one file the later ones are hard links to the first. Sockets are
/// left out. Throws Error, also for a tree that is deeper than 256 directories.
void list_tree(int root_fd, const std::function<void(FileStat)>& sink);

}  // namespace cbuild::api
