// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/http/fake_server.h"
#include "oci/layout.h"
#include "oci/registry/challenge.h"
#include "oci/registry/client.h"

namespace cbuild::oci::registry {

/// A strict registry for tests: breaches of the distribution-spec by a request are collected in `violations`.
struct FakeRegistry {
  FakeRegistry();

  /// Consulted first; a value is the answer.
  std::function<std::optional<http::FakeResponse>(const http::FakeRequest&)> script;
  /// Changes the answer before it is sent.
  std::function<void(const http::FakeRequest&, http::FakeResponse&)> alter;
  /// With this, every request but /token needs a bearer token that covers its scope.
  bool wants_token = false;
  std::string basic_user, basic_password;  ///< the account /token and Basic ask for; empty: anonymous
  std::string realm;                       ///< default: /token of this server
  bool relative_location = false;
  bool takes_chunks = true;  ///< PATCH within an upload

  std::map<std::string, std::string> blobs;                              ///< "repository@digest" -> content
  std::map<std::string, std::pair<std::string, std::string>> manifests;  ///< "repository@tag" -> type, body
  std::map<std::string, ScopeSet> tokens;                                ///< issued ones
  std::map<std::string, std::string> uploads;                            ///< open sessions, by path: what came so far
  unsigned uploads_begun = 0;
  unsigned misused_tokens = 0;  ///< requests with a token that does not cover them
  std::vector<std::string> violations;

  Digest add_blob(const std::string& repository, const std::string& content);
  /// Named by its sha512.
  Descriptor add_blob_by_sha512(const std::string& repository, const std::string& content);
  Digest add_manifest(const std::string& repository, const std::string& tag, const std::string& body,
                      const std::string& type = std::string(media_type::kManifest));
  Reference reference(const std::string& name_and_tag) const;

  std::unique_ptr<http::FakeServer> server;  // last member: it calls into the others until it has ended

 private:
  http::FakeResponse handle(const http::FakeRequest& request);
  http::FakeResponse route(const http::FakeRequest& request);
  http::FakeResponse token(const http::FakeRequest& request);
  std::optional<http::FakeResponse> check_access(const http::FakeRequest& request, const ScopeSet& needed);
  http::FakeResponse blob(const http::FakeRequest& request, const std::string& repository, const std::string& digest);
  http::FakeResponse manifest(const http::FakeRequest& request, const std::string& repository, const std::string& name);
  http::FakeResponse start_upload(const http::FakeRequest& request, const std::string& repository);
  http::FakeResponse upload(const http::FakeRequest& request, const std::string& repository);
  std::vector<std::pair<std::string, std::string>> upload_state(const std::string& path) const;
};

/// {"errors":[{"code":...,"message":...}]}
http::FakeResponse error_response(int status, const std::string& code, const std::string& message);

/// Cancels a test that takes longer than any should, and says so.
class Watchdog {
 public:
  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  const CancelSource& cancel() const { return cancel_; }

 private:
  CancelSource cancel_;
  std::mutex mutex_;  // guards ended_
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

/// A client of fakes: no account unless the test writes one, retries without pauses.
struct ClientFixture {
  ClientFixture();
  Watchdog watchdog;
  TempDir dir = TempDir::in_tmp("registry-test");
  ImageLayout layout = ImageLayout::create(dir.path() + "/store");
  Options options;
  std::vector<std::string> warnings;

  void write_auth(const std::string& json);
  /// auths entry for a registry.
  void write_account(const std::string& registry, const std::string& user, const std::string& password);
  Client& client();  ///< made on first use, with the options as they are then

 private:
  std::mutex warnings_mutex_;
  std::unique_ptr<Client> client_;
};

/// Code of the Error an action throws; ErrorCode::internal when it throws none. `what` receives the text.
ErrorCode code_of(const std::function<void()>& action, std::string* what = nullptr);

Descriptor descriptor_of(const std::string& content);

}  // namespace cbuild::oci::registry
