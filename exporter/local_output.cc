// SPDX-License-Identifier: Apache-2.0
#include "exporter/local_output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/output_file.h"
#include "base/process/subprocess.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/unpack.h"

namespace cbuild::exporter {
namespace {

/// The tar of the files goes from one thread to the other through a pipe.
void unpack_trees(std::span<const FileTree> trees, int target, const CancelSource* cancel) {
  auto [in, out] = make_pipe();
  std::exception_ptr failure;
  std::jthread writer = start_thread([&] {
    try {
      write_files_tar(trees, cancel, [&](std::span<const std::byte> bytes) {
        sys::write_all(out.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      });
    } catch (...) {
      failure = std::current_exception();
    }
    out.reset();
  });
  {
    const ScopeExit join([&] {
      in.reset();
      writer.join();
    });
    oci::layer::UnpackOptions unpack;
    unpack.whiteouts = oci::layer::Whiteouts::keep;
    unpack.owner = std::pair(geteuid(), getegid());
    unpack.cancel = cancel;
    oci::layer::unpack(in.get(), target, unpack);
  }
  if (failure) std::rethrow_exception(failure);
}

/// Trees that have a directory at the path at hand, with the path below their root.
struct Wanted {
  const FileTree* tree;
  std::string path;
};

/// The entries that trees have in one directory: a name without trees is not a directory.
std::map<std::string, std::vector<Wanted>> wanted_entries(const std::vector<Wanted>& trees) {
  std::map<std::string, std::vector<Wanted>> entries;
  for (const Wanted& one : trees) {
    if (one.path.empty())
      for (const auto& [name, content] : one.tree->extra_files) entries[name];
    for (const auto& entry : one.tree->view.list(one.path)) {
      if (S_ISSOCK(entry.st.st_mode)) continue;
      std::vector<Wanted>& below = entries[entry.name];
      if (S_ISDIR(entry.st.st_mode)) below.push_back({one.tree, child_path(one.path, entry.name)});
    }
  }
  return entries;
}

/// Removes the entries of `directory` that are not among `wanted`, and in directories those that no tree has there.
void remove_others(const std::map<std::string, std::vector<Wanted>>& wanted, int directory,
                   const CancelSource* cancel) {
  if (cancel != nullptr) cancel->check();
  for (const std::string& name : sys::list_dir(directory)) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      sys::remove_all_at(directory, name);
    } else if (!found->second.empty()) {
      const UniqueFd below = sys::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      remove_others(wanted_entries(found->second), below.get(), cancel);
    }
  }
}

void mirror_trees(std::span<const FileTree> trees, int target, const CancelSource* cancel) {
  std::map<std::string, std::vector<Wanted>> split;
  std::vector<Wanted> merged;
  for (const FileTree& tree : trees) (tree.prefix.empty() ? merged : split[tree.prefix]).push_back({&tree, ""});
  split.merge(wanted_entries(merged));
  remove_others(split, target, cancel);
}

}  // namespace

void write_local(std::span<const FileTree> trees, const std::string& directory, bool mirror,
                 const CancelSource* cancel) {
  try {
    sys::mkdir_all(AT_FDCWD, directory, 0755);
    const UniqueFd target = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    unpack_trees(trees, target.get(), cancel);
    if (mirror) mirror_trees(trees, target.get(), cancel);
  } catch (Error& error) {
    name_full_disk(error, directory, directory);
    throw error.add_context(cat("write ", directory));
  }
}

}  // namespace cbuild::exporter
