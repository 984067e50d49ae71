// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/session/archive_sender.h"
#include "api/session/content_store.h"
#include "api/session/ssh_forward.h"
#include "api/session/sync_directory.h"
#include "base/cancel.h"

/// The services that a client of BuildKit's API offers to the builder: its files, secrets, accounts, agents, outputs.
/// They are gRPC, with the builder as the caller, inside of the byte stream of the client's call Control.Session.
namespace cbuild::api {

/// The client's call Control.Session, as the server sees it. Both functions may be called at the same time, each by one
/// thread at a time, and must not throw.
struct SessionStream {
  /// Waits for the next message and puts its bytes into `data`; false: the client sends no more, or is gone.
  std::function<bool(std::string& data)> read;
  /// Sends one message; false: the client is gone.
  std::function<bool(std::string_view data)> write;
  /// Makes `read` and `write` return false soon. Called at most once, from any thread.
  std::function<void()> stop;
};

/// What a client says of its session, in the metadata x-docker-expose-session-*.
struct SessionHeader {
  std::string id;                    ///< -uuid
  std::string name;                  ///< -name
  std::string shared_key;            ///< -sharedkey: which copy of a directory to compare with
  std::vector<std::string> methods;  ///< -grpc-method, as in "/moby.filesync.v1.FileSync/DiffCopy"

  /// From the metadata of the call; keys in lower case, as gRPC has them. Throws Error{usage} without an id or with an
  /// unreasonable one, and for more than 256 methods.
  static SessionHeader parse(const std::multimap<std::string, std::string>& metadata);
};

struct SessionSettings {
  std::chrono::milliseconds call_timeout = std::chrono::seconds(60);  ///< of calls with one answer
  /// How often a client that offers it is asked whether it is alive, and how long an answer may take; after two
  /// failures in a row the session is closed. Zero: never.
  std::chrono::milliseconds health_interval = std::chrono::seconds(5), health_timeout = std::chrono::seconds(15);
};

/// An account at a registry: an empty user name and a secret are an identity token.
struct RegistryAccount {
  std::string username, secret;
};

/// What a token server is asked for.
struct TokenRequest {
  std::string client_id, host, realm, service;
  std::vector<std::string> scopes;
};
struct Token {
  std::string token;
  std::int64_t expires_in_s = 0, issued_at_s = 0;  ///< as the client says; 0: it did not
};

/// One client. Thread-safe: several builds may use it at once. Every call throws Error: {cancelled} for a `cancel`
/// (which may be null), {not_found} and {denied} for the client's answers of that kind, {network} where the client is
/// gone, does not answer in time or answers nonsense, {unsupported} where it does not offer the method. The text says
/// what was asked for. Nothing a client sends is trusted.
class ClientSession {
 public:
  ClientSession(SessionHeader header, SessionStream stream, const SessionSettings& settings = {});
  /// Closes, and waits for the threads.
  ~ClientSession();
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  const SessionHeader& header() const;
  /// Whether the client has the method, as in "/moby.filesync.v1.FileSync/DiffCopy". Case does not count.
  bool offers(std::string_view method) const;
  /// False once the client is gone or close() was called.
  bool is_open() const;
  /// Ends the session: the calls under way fail, those to come too.
  void close() noexcept;
  /// Waits until the session has ended, by the client or close(). When it returns, the functions of the stream are not
  /// in use and not called any more: the handler of Control.Session calls it, and may return then.
  void wait_closed();

  /// Makes `destination`'s tree the same as a directory of the client. See sync_directory.h.
  SyncResult sync_directory(const SyncRequest& request, SyncedDirectory& destination, const CancelSource* cancel);
  /// One file of a directory of the client; nullopt if there is none. Symbolic links are followed inside of the
  /// directory. Throws Error{input} if it is larger than `limit` bytes or not a regular file.
  std::optional<std::string> read_file(const std::string& directory_name, const std::string& path, std::size_t limit,
                                       const CancelSource* cancel);
  /// Several files with one call: those of `paths` that there are, by path. `limit`: of each.
  std::map<std::string, std::string> read_files(const std::string& directory_name,
                                                const std::vector<std::string>& paths, std::size_t limit,
                                                const CancelSource* cancel);

  /// Sends an archive to the client's output `exporter_index`. `metadata` is the result that the client is told of
  /// before. Error{usage} from ArchiveSender::finish() where the client does not want it, because it has a target of
  /// that name.
  std::unique_ptr<ArchiveSender> send_archive(int exporter_index, const std::map<std::string, std::string>& metadata,
                                              const CancelSource* cancel);
  /// Sends what is below `root_fd` to the client's output `exporter_index`, which is a directory.
  SyncResult send_directory(const SendRequest& request, int root_fd, const CancelSource* cancel);

  /// nullopt if the client has no such secret.
  std::optional<std::string> secret(const std::string& id, const CancelSource* cancel);

  /// Throws Error{not_found} or another one unless the client forwards such an agent.
  void check_ssh(const std::string& id, const CancelSource* cancel);
  /// A socket of an agent of the client; the session must outlive it.
  std::unique_ptr<SshForward> forward_ssh(const std::string& id);

  /// nullopt if the client has none for the host.
  std::optional<RegistryAccount> credentials(const std::string& host, const CancelSource* cancel);
  /// A token that the client gets for the builder, with its own account. nullopt if it does not offer that.
  std::optional<Token> fetch_token(const TokenRequest& request, const CancelSource* cancel);
  /// The 32 bytes of the public key under which the client's tokens of a host may be shared; nullopt if there is none.
  std::optional<std::string> token_authority(const std::string& host, const std::string& salt,
                                             const CancelSource* cancel);

  /// Writes what the client uploads under `id` (as in the URL http://buildkit-session/ID) into `fd`; at most `limit`
  /// bytes. Returns their number.
  std::uint64_t pull_upload(const std::string& id, int fd, std::uint64_t limit, const CancelSource* cancel);

  /// The content of the client under a name as in "local:DIRECTORY" or "export"; the session must outlive it.
  std::unique_ptr<ContentStore> content(const std::string& store_id, const CancelSource* cancel);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::api
