// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/digest.h"
#include "engine/request/source_policy.h"
#include "frontend/stages/lower_remote.h"

/// A source policy applied to the sources of a build. All of these throw Error{denied} for a source that it denies, and
/// Error{unsupported} for a conversion into something else than the same kind of source, or to an attribute that has no
/// effect here: a policy must not go unheeded.
namespace cbuild::engine {

/// The image to take instead: `text` as a Dockerfile names it, or as a named context has it ("docker-image://...",
/// "oci-layout://...").
std::string redirect_image(const SourcePolicy& policy, const std::string& text);

/// The URL to fetch instead, and the digest its content must have (empty: any).
void redirect_url(const SourcePolicy& policy, std::string& url, Digest& expected);

/// The repository to fetch instead.
void redirect_git(const SourcePolicy& policy, frontend::GitRef& ref);

/// `name` is "context", "dockerfile" or that of a named context.
void permit_local(const SourcePolicy& policy, const std::string& name);

}  // namespace cbuild::engine
