// SPDX-License-Identifier: Apache-2.0
// docker's config.json is other programs' file, too: it is changed under a lock, one member at a time, with all that is
// not ours kept as it is, and replaced as a whole. Helpers that it names hold the passwords where there are some.
#include "oci/registry/account_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/plain_file.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/json.h"
#include "oci/registry/credential_helper.h"

namespace cbuild::oci::registry {

namespace {

using AccountJson = nlohmann::ordered_json;
constexpr std::size_t kMaxAccountFile = 4u << 20;
constexpr std::chrono::seconds kMostWaiting{30};
constexpr std::chrono::milliseconds kPause{20};

/// The file of accounts, read and written under a lock of its directory.
class AccountFile {
 public:
  explicit AccountFile(const std::string& path) : path_(follow(path)), name_(base_name(path_)) {
    const std::string parent = dir_name(path_);
    sys::mkdir_all(AT_FDCWD, parent, 0700);
    directory_ = sys::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
    lock(parent);
    read();
  }

  AccountJson& json() { return json_; }

  void write() {
    const std::string temporary = cat('.', name_, '-', random_hex());
    UniqueFd file = sys::open_at(directory_.get(), temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    ScopeExit drop([&] { ::unlinkat(directory_.get(), temporary.c_str(), 0); });
    keep_owner(file.get());
    sys::write_all(file.get(), json_.dump(1, '\t', false, AccountJson::error_handler_t::replace) + "\n");
    sys::fsync(file.get());
    file.close_checked();
    sys::rename_at(directory_.get(), temporary, directory_.get(), name_);
    drop.dismiss();
  }

 private:
  /// A link is kept, and the file that it leads to is written.
  static std::string follow(const std::string& path) {
    std::error_code ignored;
    const std::filesystem::path real = std::filesystem::weakly_canonical(std::filesystem::absolute(path), ignored);
    return ignored ? path : real.string();
  }

  void lock(const std::string& parent) const {
    const auto until = std::chrono::steady_clock::now() + kMostWaiting;
    while (::flock(directory_.get(), LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      if (error != EWOULDBLOCK && error != EINTR) throw_errno(error, "lock of " + parent);
      if (std::chrono::steady_clock::now() > until)
        throw Error(ErrorCode::io, cat(parent, " is locked by another program"));
      std::this_thread::sleep_for(kPause);
    }
  }

  void read() {
    const auto text = sys::try_read_plain(directory_.get(), name_, kMaxAccountFile);
    if (!text || trim(*text).empty()) {
      json_ = AccountJson::object();
      return;
    }
    try {
      const nlohmann::json checked = json::parse_object(*text, kMaxAccountFile, "credentials");
      for (const char* key : {"auths", "credHelpers"}) (void)json::object(checked, key);
      (void)json::text(checked, "credsStore");
    } catch (const Error& error) {
      throw Error(ErrorCode::input, cat(path_, ": ", error.what()));
    }
    json_ = AccountJson::parse(*text);
  }

  /// Of a file that belongs to another user, as with sudo.
  void keep_owner(int file) const {
    const auto old = sys::try_stat_at(directory_.get(), name_);
    if (!old || old->st_uid == ::geteuid()) return;
    if (::fchown(file, old->st_uid, old->st_gid) != 0) throw_errno(errno, "owner of " + path_);
  }

  const std::string path_, name_;
  UniqueFd directory_;
  AccountJson json_;
};

/// The host of "host/ns/repository".
std::string host_of(const std::string& key) { return key.substr(0, key.find('/')); }

/// Empty where the file itself keeps the account.
std::string helper_for(const AccountJson& config, const std::string& key) {
  const auto helpers = config.find("credHelpers");
  if (helpers != config.end() && helpers->is_object())
    for (const std::string& wanted : {key, host_of(key)})
      for (const auto& [name, helper] : helpers->items())
        if (account_key(name) == wanted && helper.is_string()) return helper.get<std::string>();
  const auto fallback = config.find("credsStore");
  return fallback != config.end() && fallback->is_string() ? fallback->get<std::string>() : std::string();
}

/// Entries of all spellings of the key. True if there was one.
bool remove_entries(AccountJson& config, const std::string& key) {
  const auto entries = config.find("auths");
  if (entries == config.end() || !entries->is_object()) return false;
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries->items())
    if (account_key(name) == key) names.push_back(name);
  for (const std::string& name : names) entries->erase(name);
  return !names.empty();
}

AccountJson entry_of(const Credentials& credentials) {
  AccountJson entry = AccountJson::object();
  entry["auth"] = base64_encode(credentials.user + ":" + credentials.password);
  if (!credentials.identity_token.empty()) entry["identitytoken"] = credentials.identity_token;
  return entry;
}

}  // namespace

AccountPlace store_account(const std::string& file, const std::string& key, const Credentials& credentials) {
  AccountFile accounts(file);
  AccountJson& config = accounts.json();
  const std::string helper = helper_for(config, key), server = server_address(key);
  if (!helper.empty()) helper_store(helper, server, credentials);
  remove_entries(config, key);
  // With a helper the empty entry tells docker that there is a login.
  config["auths"][server] = helper.empty() ? entry_of(credentials) : AccountJson::object();
  accounts.write();
  if (helper.empty()) return {file, true};
  return {"docker-credential-" + helper, false};
}

bool erase_account(const std::string& file, const std::string& key) {
  if (!sys::try_stat_at(AT_FDCWD, file, 0)) return false;
  AccountFile accounts(file);
  const std::string helper = helper_for(accounts.json(), key);
  const bool had_entry = remove_entries(accounts.json(), key);
  if (had_entry) accounts.write();
  const bool helper_had = !helper.empty() && helper_erase(helper, server_address(key));
  return had_entry || helper_had;
}

void store_setting(const std::string& file, const std::string& part, const std::string& name,
                   const std::optional<std::string>& value) {
  AccountFile config(file);
  AccountJson& object = config.json()[part];
  if (!object.is_null() && !object.is_object())
    throw Error(ErrorCode::input, cat(file, ": ", part, " is not an object"));
  if (value)
    object[name] = *value;
  else if (object.is_object())
    object.erase(name);
  if (object.empty()) config.json().erase(part);
  config.write();
}

}  // namespace cbuild::oci::registry
