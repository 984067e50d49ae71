// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/progress.h"

namespace cbuild::cli {

enum class ProgressMode {
  automatic,
  tty,
  plain,
  quiet,
  rawjson,  ///< BuildKit's SolveStatus, as buildx prints it
  events,   ///< the event stream itself
};

/// A renderer of the event stream on stderr. The tty view redraws itself until the object dies; its destructor leaves
/// the final picture. `plain` reads well in a CI log: one line an event, prefixed by "#N".
std::unique_ptr<ProgressSink> make_progress_view(ProgressMode mode, int fd);

/// Name of a task as the views show it; untrusted text is made safe for terminals.
std::string display_name(const std::string& name, std::size_t width);

}  // namespace cbuild::cli
