// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/plugin_link.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/process/environment.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

/// Whether the entry is a link that install_plugin() could have made, also of a cbuild that is gone.
bool is_ours(const std::string& path, const struct stat& entry) {
  return S_ISLNK(entry.st_mode) && base_name(sys::readlink_at(AT_FDCWD, path)).starts_with("cbuild");
}

}  // namespace

std::string plugin_directory() {
  const std::string home = docker_directory();
  if (home.empty())
    throw Error(ErrorCode::usage, "HOME is not set: there is no place for the plugin")
        .with_hint("--directory DIR, or set DOCKER_CONFIG to a directory");
  return join_path(home, "cli-plugins");
}

std::string install_plugin(const std::string& program, const std::string& directory, bool force) {
  const std::string path = join_path(directory, kPluginName);
  const auto entry = sys::try_stat_at(AT_FDCWD, path);
  if (entry && !force && !is_ours(path, *entry))
    throw Error(ErrorCode::usage, cat(path, " is another program")).with_hint("--force replaces it");
  if (entry && S_ISDIR(entry->st_mode)) throw Error(ErrorCode::usage, cat(path, " is a directory"));
  sys::mkdir_all(AT_FDCWD, directory, 0755);
  const std::string temporary = join_path(directory, cat(".cbuild-", random_hex()));  // no moment without a plugin
  if (::symlink(program.c_str(), temporary.c_str()) != 0) throw_errno(errno, "symlink " + path);
  sys::rename_at(AT_FDCWD, temporary, AT_FDCWD, path);
  return path;
}

std::string remove_plugin(const std::string& directory) {
  const std::string path = join_path(directory, kPluginName);
  const auto entry = sys::try_stat_at(AT_FDCWD, path);
  if (!entry) return {};
  if (!is_ours(path, *entry)) throw Error(ErrorCode::usage, cat(path, " is another program and stays"));
  sys::unlink_at(AT_FDCWD, path);
  return path;
}

}  // namespace cbuild::cli
