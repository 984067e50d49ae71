// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/error.h"

namespace cbuild::cli {

/// The exit code that docs/cli.md gives to an error: of a build before it has an image, and of every other command.
int exit_code_of(const Error& error);

/// An error as the user sees it: "ERROR: ..." and its hint, each on a line. A full disk gets a hint that names the
/// store's directory and the free space there.
std::string error_text(const Error& error, const std::string& store_root);

}  // namespace cbuild::cli
