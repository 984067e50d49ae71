// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/flags/options.h"

/// Variables of the environment, and docker's config.json, as far as they stand for flags that were not given. The
/// meaning is that of `docker buildx build`; docs/cli.md lists them.
namespace cbuild::cli {

/// `given`, or without any the platform of DOCKER_DEFAULT_PLATFORM.
std::vector<std::string> platforms_or_default(const std::vector<std::string>& given);

/// `given`, or for "auto" the mode of BUILDKIT_PROGRESS.
std::string progress_or_default(const std::string& given);

/// `given`, or without any, or for "default", the network of CBUILD_NETWORK.
std::string network_or_default(const std::string& given);

/// When the store is synced: `given`, else CBUILD_SYNC, else nothing on a machine that its CI service says is thrown
/// away after the job, which `told` then has a line about, else "end".
std::string sync_or_default(const std::string& given, std::vector<std::string>& told);

/// Whether BUILDX_NO_DEFAULT_ATTESTATIONS is true. Throws Error{usage} for a value that is not a truth.
bool has_no_default_attestations();

/// The environment of ssh-agent: PATH and HOME.
std::vector<std::string> agent_environment();

/// Whether BUILDX_NO_DEFAULT_OCI_ARTIFACT is true.
bool has_no_default_artifact();

/// SOURCE_DATE_EPOCH and the proxies of config.json become build arguments, where none of that name was given;
/// BUILDX_GIT_LABELS and BUILDX_GIT_INFO ask git about the context (git_info.h). What cannot be read is a note.
/// EXPERIMENTAL_BUILDKIT_SOURCE_POLICY becomes the source policy; throws Error{usage} for one that cannot be read, as
/// it must not go unheeded.
void apply_environment(BuildLine& line);

}  // namespace cbuild::cli
