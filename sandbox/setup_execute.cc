// SPDX-License-Identifier: Apache-2.0
// The last set-up step: the command itself. Failures are worded later as runc words them.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstring>

#include "sandbox/kernel.h"
#include "sandbox/setup_steps.h"

namespace cbuild::sandbox::setup {
namespace {

using kernel::call;

/// True for a path that leads to the program of this process, which is the builder's: /proc/self/exe, which is reached
/// from inside the root though the program lies outside. A copy that is mounted there is a file like any other.
bool is_builder(const char* path) {
  struct stat info;
  struct stat builder;
  const bool same = call(SYS_newfstatat, AT_FDCWD, path, &info, 0) >= 0 &&
                    call(SYS_newfstatat, AT_FDCWD, "/proc/self/exe", &builder, 0) >= 0 &&
                    info.st_dev == builder.st_dev && info.st_ino == builder.st_ino;
  if (!same) return false;
  struct open_how how {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const long fd = call(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  if (fd >= 0) call(SYS_close, fd);
  return fd < 0;
}

using ScriptLine = char[256];  // as much as the kernel looks at

/// Puts the path after "#!" at the start of `line`; false if `program` is not a script.
bool read_interpreter(const char* program, ScriptLine& line) {
  const int fd = static_cast<int>(call(SYS_openat, AT_FDCWD, program, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) return false;
  const long size = call(SYS_read, fd, line, sizeof line - 1);
  call(SYS_close, fd);
  line[size < 0 ? 0 : size] = '\0';
  if (std::strncmp(line, "#!", 2) != 0) return false;
  const std::size_t begin = 2 + std::strspn(line + 2, " \t"), length = std::strcspn(line + begin, " \t\n");
  std::memmove(line, line + begin, length);
  line[length] = '\0';
  return true;
}

/// True if executing `program` would start the builder's program inside the root, where the root's own loader gets
/// hold of it (CVE-2019-5736).
bool leads_to_builder(const char* program) {
  constexpr int kMostInterpreters = 6;  // one more than the kernel follows
  ScriptLine line;
  for (int i = 0; i < kMostInterpreters; ++i) {
    if (is_builder(program)) return true;
    if (!read_interpreter(program, line)) return false;
    program = line;
  }
  return false;
}

}  // namespace

int OperationRunner::operator()(const Execute& operation) {
  const auto executable = [](const char* path) -> long {
    struct stat info {};
    const long error = call(SYS_newfstatat, AT_FDCWD, path, &info, 0);
    if (error < 0) return error;
    if (S_ISDIR(info.st_mode)) return -EACCES;
    const long allowed = call(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS);
    return allowed == -ENOSYS ? 0 : allowed;
  };
  const char* program = nullptr;
  const bool by_path = operation.argv[0].find('/') == std::string::npos;
  if (!by_path) {
    program = operation.argv[0].c_str();
    if (const long error = executable(program); error < 0) {
      report_.exec_failure = error == -EACCES ? ExecFailure::not_executable : ExecFailure::not_found;
      return static_cast<int>(error);
    }
  }
  for (const std::string& candidate : operation.candidates)
    if (program == nullptr && executable(candidate.c_str()) == 0) program = candidate.c_str();
  if (program == nullptr) {
    report_.exec_failure = ExecFailure::not_in_path;
    return -ENOENT;
  }
  const long error =
      leads_to_builder(program) ? -EACCES : call(SYS_execve, program, child_.argv.data(), child_.environment.data());
  report_.exec_failure = ExecFailure::exec_failed;
  std::strncpy(report_.message, program, sizeof report_.message - 1);
  return static_cast<int>(error);
}

}  // namespace cbuild::sandbox::setup
