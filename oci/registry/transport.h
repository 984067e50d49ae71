// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/http/http.h"
#include "base/http/retry.h"
#include "base/http/secrets.h"
#include "oci/registry/auth.h"
#include "oci/registry/client.h"
#include "oci/registry/credentials.h"
#include "oci/registry/hosts.h"
#include "oci/registry/sources.h"

namespace cbuild::oci::registry {

/// One call against a repository. `request.url` is on the endpoint's origin, or where an upload's Location
/// led.
struct Call {
  Endpoint endpoint;
  std::string repository;
  ScopeSet scopes;
  http::Request request;
  std::string doing;  ///< "pull of example.com/app:1", for messages
};

/// Exchanges with a registry as the distribution-spec wants them: authorised, redirects followed without ever
/// carrying an Authorization header to another origin, repeated where that helps. Thread-safe; all calls of
/// one client share it.
class Transport {
 public:
  explicit Transport(Options options);

  /// A call with the URL for "/v2/<repository>/<rest>" of the registry that a push goes to.
  Call call(const Reference& reference, const std::string& rest, ScopeSet scopes, std::string doing);
  /// Where a push goes to.
  routes::Route written_at(const Reference& reference) { return routes_.writing(reference); }
  /// A call that reads from one of the places of an image.
  Call read(const Source& source, const std::string& rest);
  /// The places that an image is read from.
  Sources& sources() { return sources_; }

  struct Answer {
    http::Response response;
    http::Url url;         ///< where it came from, after redirects
    bool foreign = false;  ///< from another origin than the endpoint's
  };
  /// Authorised and redirected, one attempt.
  Answer once(const Call& call);
  /// As once(), repeated while that is worth it. For requests that may be repeated as they stand. `attempt`: number of
  /// the first one, where others have been made already.
  Answer send(const Call& call, unsigned attempt = 1);
  /// Whether to try again after attempt number `attempt`; waits first.
  bool again(const Call& call, const Answer& answer, unsigned attempt);
  /// Where a Location header leads. Throws Error{network} for a place that must not be followed: other schemes, plain
  /// http from a secure registry, an address inside this machine.
  http::Url follow(const Call& call, const http::Url& from, std::string_view location) const;
  /// Throws for an answer that is not a success.
  [[noreturn]] void fail(const Call& call, const Answer& answer);

  /// Whether an answer of this endpoint so far was a challenge.
  bool asks_for_account(const Endpoint& endpoint) { return auth_.was_challenged(endpoint); }

  /// Given by a token server so far; or empty.
  std::string identity_token() { return auth_.identity_token(); }

  /// Text for a message with secrets removed.
  std::string explain(const http::Response& response) const;

 private:
  Call call_at(const routes::Route& route, bool has_alternative, const std::string& rest, std::string doing);
  http::Response authorized(const Call& call, http::Request& request);
  http::Response foreign(const Call& call, http::Request& request);
  http::Response perform(http::Request& request, const std::string& authorization, const http::HeaderList& more = {});
  void report_warnings(const http::Response& response);

  const Options options_;
  http::Pool pool_;
  http::Secrets secrets_;
  http::RetryPolicy retry_;
  routes::Routes routes_;
  Sources sources_;
  Hosts hosts_;
  CredentialStore store_;
  Authenticator auth_;
  std::mutex mutex_;  // guards warned_
  std::set<std::string> warned_;
};

}  // namespace cbuild::oci::registry
