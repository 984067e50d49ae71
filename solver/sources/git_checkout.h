// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cache/store.h"
#include "solver/graph/op.h"
#include "solver/sources/git_program.h"

namespace cbuild::solver::ops {

/// Where a checkout takes its objects from.
struct CheckoutOrigin {
  std::string repository;  ///< a bare repository that has the commit
  std::string url;         ///< of the remote, without credentials
  cache::Store& store;
};

/// The name under which a bare repository keeps the commit of a ref of the remote (or a commit itself).
std::string kept_ref(const std::string& ref);

/// Checks the commit of `source` out into `target`, with submodules, and takes the part that was asked for. Throws
/// Error.
void check_out(const GitProgram& git, const CheckoutOrigin& origin, const GitSource& source, cache::Staging& target);

}  // namespace cbuild::solver::ops
