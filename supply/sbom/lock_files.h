// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "supply/sbom/package.h"

namespace cbuild::supply {

/// A kind of lock file. A parser takes anything: what it does not understand it leaves out.
struct LockFile {
  bool (*matches)(std::string_view name);  ///< by the name of the file
  std::vector<Package> (*parse)(std::string_view text);
};

/// The parser of a file of that name; null for other files.
const LockFile* find_lock_file(std::string_view name);

std::vector<Package> parse_package_lock(std::string_view json);  ///< npm's package-lock.json, of each version
std::vector<Package> parse_composer_lock(std::string_view json);
std::vector<Package> parse_pipfile_lock(std::string_view json);
std::vector<Package> parse_yarn_lock(std::string_view text);  ///< of version 1 and of later ones
std::vector<Package> parse_pnpm_lock(std::string_view text);
std::vector<Package> parse_requirements(std::string_view text);  ///< pip's; only those of one version ("==")
std::vector<Package> parse_poetry_lock(std::string_view text);
std::vector<Package> parse_cargo_lock(std::string_view text);
std::vector<Package> parse_go_sum(std::string_view text);
std::vector<Package> parse_gemfile_lock(std::string_view text);
/// Dependencies of a version; properties of the same file are put in.
std::vector<Package> parse_maven_pom(std::string_view xml);
/// Python's METADATA of an installed distribution.
std::vector<Package> parse_python_metadata(std::string_view text);

}  // namespace cbuild::supply
