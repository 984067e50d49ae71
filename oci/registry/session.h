// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "oci/registry/auth.h"
#include "oci/registry/client.h"
#include "oci/registry/credentials.h"
#include "oci/registry/hosts.h"
#include "oci/registry/http.h"
#include "oci/registry/retry.h"
#include "oci/registry/secrets.h"

namespace cbuild::oci::registry {

/// One call against a repository. `request.url` is on the endpoint's origin, or where an upload's Location
/// led.
struct Call {
  Endpoint endpoint;
  std::string repository;
  ScopeSet scopes;
  HttpRequest request;
  std::string doing;  ///< "pull of example.com/app:1", for messages
};

/// Exchanges with a registry as the distribution-spec wants them: authorised, redirects followed without ever
/// carrying an Authorization header to another origin, repeated where that helps. Thread-safe; all calls of
/// one client share it.
class Session {
 public:
  explicit Session(Options options);

  /// A call with the registry's URL for "/v2/<repository>/<rest>".
  Call call(const Reference& reference, const std::string& rest, ScopeSet scopes, std::string doing);

  struct Answer {
    HttpResponse response;
    Url url;               ///< where it came from, after redirects
    bool foreign = false;  ///< from another origin than the endpoint's
  };
  /// Authorised and redirected, one attempt.
  Answer once(const Call& call);
  /// As once(), repeated while that is worth it. For requests that may be repeated as they stand. `attempt`: number of
  /// the first one, where others have been made already.
  Answer send(const Call& call, unsigned attempt = 1);
  /// Whether to try again after attempt number `attempt`; waits first.
  bool again(const Call& call, const Answer& answer, unsigned attempt);
  /// Where a Location header leads. Throws Error{network} for what must not be followed: other schemes, plain
  /// http from a secure registry, an address inside this machine.
  Url follow(const Call& call, const Url& from, std::string_view location) const;
  /// Throws for an answer that is no success.
  [[noreturn]] void fail(const Call& call, const Answer& answer);

  /// Text for a message with secrets removed.
  std::string explain(const HttpResponse& response) const;

 private:
  HttpResponse authorized(const Call& call, HttpRequest& request);
  HttpResponse foreign(const Call& call, HttpRequest& request);
  HttpResponse perform(HttpRequest& request, const std::string& authorization);
  void report_warnings(const HttpResponse& response);

  const Options options_;
  HttpPool pool_;
  Secrets secrets_;
  RetryPolicy retry_;
  Hosts hosts_;
  CredentialStore store_;
  Authenticator auth_;
  std::mutex mutex_;  // guards warned_
  std::set<std::string> warned_;
};

}  // namespace cbuild::oci::registry
