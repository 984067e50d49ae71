// SPDX-License-Identifier: Apache-2.0
// `cbuild login` and `cbuild logout`: an account is tried at its registry first, and written only when that takes it.
// Flags, files and messages are those of docker's commands, so that scripts of either work with the other.
#include "cli/images/login_command.h"

#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/cancel.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process/interrupts.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/images/registry_flags.h"
#include "cli/report/exit_codes.h"
#include "oci/registry/account_file.h"
#include "oci/registry/credentials.h"

namespace cbuild::cli {
namespace {

using oci::registry::Credentials;
using oci::registry::CredentialStore;

constexpr std::size_t kMostPassword = 1u << 20;  // tokens of clouds have thousands of characters

struct LoginLine {
  std::string root, server, user;
  std::optional<std::string> password;
  bool password_stdin = false;
  RegistryFlags registry;
};

/// "docker.io" without a word; the path of "host/path" is part of the key only.
std::string key_of(const std::string& server) {
  return oci::registry::account_key(server.empty() ? "docker.io" : server);
}
std::string registry_of(const std::string& key) { return key.substr(0, key.find('/')); }

/// A line of the terminal, without echo for a secret.
std::string ask_person(const std::string& question, bool secret) {
  termios old{};
  const bool hide = secret && ::tcgetattr(STDIN_FILENO, &old) == 0;
  if (hide) {
    termios silent = old;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  const ScopeExit restore([&] {
    if (hide) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
  });
  std::cerr << question << std::flush;
  std::string line;
  std::getline(std::cin, line);
  if (hide) std::cerr << '\n';
  return line;
}

std::string password_from_stdin() {
  std::string text = sys::read_all(STDIN_FILENO, kMostPassword);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) throw Error(ErrorCode::usage, "--password-stdin: stdin is empty");
  return text;
}

/// The account that was given or is typed; nullopt if none was given and one of an earlier login is there.
std::optional<Credentials> wanted_account(const LoginLine& line, bool has_old) {
  if (line.password_stdin && line.password)
    throw Error(ErrorCode::usage, "--password and --password-stdin do not go together");
  const bool has_password = line.password_stdin || line.password.has_value();
  if (has_password && line.user.empty())
    throw Error(ErrorCode::usage, "a password needs a user name").with_hint("--username NAME");
  if (!has_password && line.user.empty() && has_old) return std::nullopt;
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (!has_password && !terminal)
    throw Error(ErrorCode::usage, "no password was given and stdin is not a terminal")
        .with_hint("--username NAME --password-stdin, with the password on stdin");
  Credentials out;
  out.user = line.user.empty() ? ask_person("Username: ", false) : line.user;
  if (out.user.find(':') != std::string::npos) throw Error(ErrorCode::usage, "a user name must not contain ':'");
  if (line.password_stdin) {
    out.password = password_from_stdin();
  } else {
    out.password = line.password ? *line.password : ask_person("Password: ", true);
  }
  if (out.user.empty() || out.password.empty())
    throw Error(ErrorCode::usage, "user name and password must not be empty");
  return out;
}

/// The identity token that the registry gives for the account; or empty.
std::string check_at_registry(const LoginLine& line, const std::string& key,
                              const std::optional<Credentials>& account) {
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  oci::registry::Options options = line.registry.options(cancel);
  options.account = account;
  options.wants_identity = account.has_value();
  oci::registry::Client client(std::move(options));
  const auto check = client.check_account(registry_of(key));
  if (!check.was_asked)
    std::cerr << "note: " << registry_of(key) << " asks for no account, so that this one could not be checked\n";
  return check.identity_token;
}

void keep_account(const LoginLine& line, const std::string& key, const Credentials& account) {
  const std::string file = CredentialStore::file_to_write(line.registry.auth_file);
  const oci::registry::AccountPlace place = oci::registry::store_account(file, key, account);
  if (place.plain)
    std::cerr << "WARNING! The " << (account.identity_token.empty() ? "password" : "identity token") << " is in "
              << place.name << ", not encrypted. A credential helper (credsStore) "
              << "keeps it elsewhere.\n";
}

/// The file has to exist for a search only; a login makes it.
bool has_account(LoginLine& line, const std::string& key) {
  if (line.registry.auth_file && !sys::try_stat_at(AT_FDCWD, *line.registry.auth_file, 0)) return false;
  CredentialStore store(CredentialStore::places(line.registry.auth_file), nullptr);
  const std::size_t slash = key.find('/');
  return store.find(registry_of(key), slash == std::string::npos ? std::string() : key.substr(slash + 1)).has_value();
}

}  // namespace

int login_command(Arguments arguments) {
  LoginLine line;
  CLI::App app{"Check an account at its registry and keep it in docker's config.json", "cbuild login"};
  app.add_option("SERVER", line.server, "HOST[:PORT] of the registry (default: Docker Hub)");
  app.add_option("-u,--username", line.user, "Name of the account");
  app.add_option("-p,--password", line.password, "Password or token; others can see it in the list of processes");
  app.add_flag("--password-stdin", line.password_stdin, "Read the password from stdin");
  line.registry.add_to(app);
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  const std::string key = key_of(line.server);
  const bool nothing_given = line.user.empty() && !line.password && !line.password_stdin;
  const std::optional<Credentials> account = wanted_account(line, nothing_given && has_account(line, key));
  if (line.password) std::cerr << "WARNING! --password shows the password to others. Use --password-stdin.\n";
  const std::string identity = check_at_registry(line, key, account);
  if (account) keep_account(line, key, identity.empty() ? *account : Credentials{account->user, {}, identity});
  std::cout << "Login Succeeded\n";
  return exit_code::kSuccess;
}

int logout_command(Arguments arguments) {
  LoginLine line;
  CLI::App app{"Remove an account from docker's config.json or its credential helper", "cbuild logout"};
  app.add_option("SERVER", line.server, "HOST[:PORT] of the registry (default: Docker Hub)");
  app.add_option("--authfile", line.registry.auth_file, "Registry credentials instead of docker's and podman's files");
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  const std::string key = key_of(line.server);
  const std::string file = CredentialStore::file_to_write(line.registry.auth_file);
  const bool removed = oci::registry::erase_account(file, key);
  std::cout << (removed ? "Removing login credentials for " : "Not logged in to ") << sanitize_for_terminal(key)
            << '\n';
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
