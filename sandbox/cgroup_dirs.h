// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "sandbox/cgroup.h"

/// Directories of control groups: making and removing those of steps, and those that a killed build left.
namespace cbuild::sandbox {

/// The name of all groups that cbuild makes, but for those on the way to them: the prefix and the build's number; of a
/// single step "-NUMBER" more.
inline constexpr std::string_view kCgroupPrefix = "cbuild-";

/// Writes a control file. False if that fails.
bool write_control(int directory, const char* name, std::string_view value);

/// Makes a directory and takes the lock that says it is in use, until the descriptor is closed. nullopt, with errno, if
/// it cannot be made.
std::optional<UniqueFd> make_held(const std::string& directory);

/// Makes the group `path` of a hierarchy, held as by make_held(), and missing ones on the way. In v2 every directory on
/// the way hands `controllers` down. Throws Error.
UniqueFd make_below(const CgroupHierarchy& hierarchy, const std::string& path,
                    const std::vector<std::string_view>& controllers);

/// Replaces numbers of `use` by those that the groups of one step have, which count every process that was in them.
void read_cgroup_use(const std::vector<std::string>& directories, ResourceUse& use);

/// Removes a step's own group, and those above it that make_below() made and that nobody else is in.
void remove_with_parents(std::string directory);

/// Keeps at a build's shared group the directories in which its steps have groups of their own.
void note_parents(int shared, const std::set<std::string>& parents);

/// Removes the groups below `own_directory` that nobody holds any more, and first those of single steps wherever the
/// build noted that they are. Groups that still have members stay for the next time.
void remove_leftovers(const std::string& own_directory);

}  // namespace cbuild::sandbox
