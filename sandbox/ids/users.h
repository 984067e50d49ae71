// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cbuild::sandbox {

struct ResolvedUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;
  std::string home;  ///< from passwd; "/" if there is none
};

/// Reads a small regular file of the image ("/etc/passwd"); nullopt if missing. The callee caps size and checks the
/// type.
using ImageFileReader = std::function<std::optional<std::string>(const std::string& path)>;

/// USER as BuildKit resolves it for a step: "", "name", "uid", "name:group", "uid:gid". A numeric uid without
/// passwd entry gets gid 0; an unknown name throws Error{input}; supplementary groups come from /etc/group unless a
/// group is named; the primary gid is always among them. Digits are never looked up as names.
ResolvedUser resolve_user(const std::string& user, const ImageFileReader& read);

/// --chown as BuildKit resolves it: numeric user only -> gid = uid; name -> passwd uid and its primary gid;
/// unknown names -> 0.
std::pair<uid_t, gid_t> resolve_chown(const std::string& spec, const ImageFileReader& read);

}  // namespace cbuild::sandbox
