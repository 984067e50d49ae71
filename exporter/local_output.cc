// SPDX-License-Identifier: Apache-2.0
#include "exporter/local_output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/threads.h"
#include "oci/layer/unpack.h"

namespace cbuild::exporter {
namespace {

/// The tar of the files goes from one thread to the other through a pipe.
void unpack_tree(cache::Store& store, const RootfsOptions& options, int target) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_errno(errno, "pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  std::exception_ptr failure;
  std::jthread writer = start_thread([&] {
    try {
      write_rootfs_tar(store, options, [&](std::span<const std::byte> bytes) {
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
    unpack.cancel = options.cancel;
    oci::layer::unpack(in.get(), target, unpack);
  }
  if (failure) std::rethrow_exception(failure);
}

/// Removes entries of `directory` that the view does not have at `path`.
void remove_others(const cache::TreeView& view, const std::string& path, int directory, const CancelSource* cancel) {
  if (cancel != nullptr) cancel->check();
  std::map<std::string, mode_t> wanted;
  for (const auto& entry : view.list(path))
    if (!S_ISSOCK(entry.st.st_mode)) wanted[entry.name] = entry.st.st_mode;
  for (const std::string& name : sys::list_dir(directory)) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      sys::remove_all_at(directory, name);
    } else if (S_ISDIR(found->second)) {
      const UniqueFd below = sys::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      remove_others(view, child_path(path, name), below.get(), cancel);
    }
  }
}

void mirror_tree(cache::Store& store, const RootfsOptions& options, int target) {
  const cache::TreeView view = open_rootfs(store, options.chain);
  if (options.prefix.empty()) return remove_others(view, "", target, options.cancel);
  for (const std::string& name : sys::list_dir(target))
    if (name != options.prefix) sys::remove_all_at(target, name);
  const UniqueFd below = sys::open_at(target, options.prefix, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  remove_others(view, "", below.get(), options.cancel);
}

}  // namespace

void write_local(cache::Store& store, const RootfsOptions& options, const std::string& directory, bool mirror) {
  try {
    sys::mkdir_all(AT_FDCWD, directory, 0755);
    const UniqueFd target = sys::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    unpack_tree(store, options, target.get());
    if (mirror) mirror_tree(store, options, target.get());
  } catch (Error& error) {
    name_full_disk(error, directory, directory);
    throw error.add_context(cat("write ", directory));
  }
}

}  // namespace cbuild::exporter
