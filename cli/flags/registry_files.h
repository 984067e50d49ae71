// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "oci/routes/config_files.h"

namespace cbuild::cli {

/// Where the configuration of registries is for this user: files of podman, containerd and docker. CBUILD_ETC stands in
/// for /etc.
oci::routes::ConfigFiles registry_files();

}  // namespace cbuild::cli
