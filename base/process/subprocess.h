// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/fd.h"

namespace cbuild {

struct Pipe {
  UniqueFd read, write;
};

/// A pipe whose ends are close-on-exec. `flags`: further ones of pipe2(2), for both ends. Throws Error.
Pipe make_pipe(int flags = 0);

/// Environments are lists of "NAME=VALUE", as execve(2) takes them.
bool has_variable(const std::vector<std::string>& environment, std::string_view name);
/// Puts `entry` at the end, in place of those of the same name.
void set_variable(std::vector<std::string>& environment, const std::string& entry);

/// The path of a program in one of the directories of `path`, as $PATH lists them; relative ones do not count. Empty if
/// there is none.
std::string find_program(std::string_view name, std::string_view path);
/// $PATH, or what a shell takes without one.
std::string program_path();

/// A child process held by its pidfd. The destructor kills its process group and reaps it.
class Child {
 public:
  struct Options {
    std::vector<std::string> argv;                        ///< argv[0] is looked up in PATH unless it holds a slash
    std::optional<std::vector<std::string>> environment;  ///< "K=V"; nullopt inherits
    std::string directory;                                ///< empty: inherit
    int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;    ///< borrowed; -1 means /dev/null
    bool new_group = true;
  };
  /// posix_spawn-like: returns once exec succeeded; throws Error{not_found} when the program is missing.
  static Child spawn(const Options& options);
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;
  ~Child();

  pid_t pid() const { return pid_; }  ///< -1 once waited for
  int pidfd() const { return pidfd_.get(); }
  /// Exit code, or 128+signal. Once only.
  int wait();
  /// To the child's group if it has its own, else to the child; nothing once waited for.
  void signal(int signo) noexcept;

 private:
  Child() = default;
  void kill_and_reap() noexcept;

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  bool own_group_ = false;
};

struct CommandResult {
  int exit_code = 0;  ///< 128+signal when killed
  std::string out, err;
};

struct CommandOptions {
  std::string_view input = {};  ///< on stdin
  std::chrono::milliseconds timeout = std::chrono::minutes(5);
  std::size_t limit = 16u << 20;                             ///< bytes kept of stdout and of stderr, each
  std::optional<std::vector<std::string>> environment = {};  ///< "K=V"; nullopt inherits
  std::string directory = {};                                ///< empty: inherit
  const CancelSource* cancel = nullptr;
  /// Called every `watch_every` while the program runs, with the id of its process group. What it throws ends the
  /// program, and is thrown.
  std::function<void(pid_t)> watch = {};
  std::chrono::milliseconds watch_every{1000};
};

/// Runs a program to its end, collecting stdout and stderr. Kills it and throws Error{io} at the timeout,
/// Error{cancelled} when it is cancelled.
CommandResult run_command(const std::vector<std::string>& argv, const CommandOptions& options);

/// Runs a program to its end with `input` on stdin, collecting stdout and stderr (each at most `limit` bytes, the rest
/// is dropped). Kills it and throws Error{io} at the timeout.
CommandResult run_command(const std::vector<std::string>& argv, std::string_view input = {},
                          std::chrono::milliseconds timeout = std::chrono::minutes(5), std::size_t limit = 16u << 20,
                          const std::optional<std::vector<std::string>>& environment = std::nullopt);

}  // namespace cbuild
