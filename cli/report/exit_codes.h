// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Exit codes of cbuild; documented in docs/cli.md and kept stable.
namespace cbuild::cli::exit_code {

inline constexpr int kSuccess = 0;
inline constexpr int kBuildFailed = 1;    ///< the Dockerfile is wrong, a base cannot be pulled, a step failed
inline constexpr int kUsage = 2;          ///< the command line is wrong
inline constexpr int kExportFailed = 3;   ///< the image was built, but an output or a push failed
inline constexpr int kInternal = 4;       ///< a bug, or a machine that lacks something
inline constexpr int kInterrupted = 130;  ///< SIGINT or SIGTERM

}  // namespace cbuild::cli::exit_code
