// SPDX-License-Identifier: Apache-2.0
#include "cli/sync_command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/text.h"
#include "cache/store.h"
#include "cli/flags/flags.h"
#include "cli/report/exit_codes.h"

namespace cbuild::cli {

int sync_command(Arguments arguments) {
  std::string root;
  CLI::App app{"Make what builds recorded in the store survive a power loss", "cbuild sync"};
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  cache::Store store({.root = root});
  for (const std::string& note : store.notes()) std::cerr << sanitize_for_terminal(note) << '\n';
  // One at a time: who waited finds that most of the work, or all of it, is done.
  const auto turn = store.wait_lock("sync", [] { return false; });
  store.make_durable();
  return exit_code::kSuccess;
}

// A program and not a fork: this process has threads, and what they hold no child could ever let go of. Away from the
// terminal and the pipes of whoever waits for the build.
void begin_sync(const std::string& root) noexcept {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  if (posix_spawn_file_actions_init(&files) != 0) return;
  if (posix_spawnattr_init(&attributes) == 0) {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string name = "cbuild", command = "sync", flag = "--root", place = root;
    char* const words[] = {name.data(), command.data(), flag.data(), place.data(), nullptr};
    pid_t pid = 0;
    (void)posix_spawn(&pid, "/proc/self/exe", &files, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&files);
}

}  // namespace cbuild::cli
