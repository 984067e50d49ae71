// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cache/content/tree.h"
#include "sandbox/spec.h"

namespace cbuild::solver::ops {

/// Gives a step certificates of authorities (PEM) besides those of its own root: in files that are mounted for it
/// alone, named by the variables that OpenSSL, curl, git, pip, node, Java and others read. A variable that the step has
/// already stays as it is. `root`: null if the step has none.
void add_certificates(const std::string& pem, const cache::TreeView* root, sandbox::Spec& spec);

}  // namespace cbuild::solver::ops
