// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/http/limits.h"
#include "oci/blob_store.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "oci/registry/streamed_upload.h"
#include "oci/routes/config_files.h"

namespace cbuild::oci::registry {

struct Credentials {
  std::string user, password, identity_token;
};

/// How registries are reached.
struct Options {
  std::vector<std::string> insecure;     ///< host[:port] that may be plain http or have an unverifiable certificate
  std::optional<std::string> auth_file;  ///< instead of the files of docker and podman
  std::optional<Credentials> account;    ///< for every registry, instead of any that is found
  /// Asked for each registry that wants an account, instead of files and variables; nullopt: none. Any thread, one at a
  /// time. Empty: those count.
  std::function<std::optional<Credentials>(const std::string& registry)> find_account;
  bool wants_identity = false;  ///< token servers are asked for an identity token (docker's offline_token)
  routes::ConfigFiles files;    ///< that say where registries are; by default none
  unsigned max_connections_per_host = 4;
  unsigned max_attempts = 5;
  std::chrono::milliseconds retry_delay{1000};  ///< before the second attempt; grows, with jitter
  http::TransferLimits limits;                  ///< a slower transfer is broken off and tried again
  std::function<std::int64_t()> clock_ns;       ///< by which tokens expire; unset: the machine's monotonic clock
  const CancelSource* cancel = nullptr;
  std::function<void(const std::string&)> warn;  ///< Warning headers, retries; one line each
};

struct FetchedManifest {
  Digest digest;
  std::string media_type;
  std::string body;  ///< exact bytes
};

using Transferred = std::function<void(std::uint64_t bytes, std::uint64_t total)>;

/// Client of the OCI distribution-spec v1.1. Thread-safe; connections, tokens and TLS sessions are shared by
/// all calls. libcurl is opened on first use. Errors: {network} with host, status, registry's code and
/// message; {denied} for 401 and 403 after authentication was tried, naming the credential file that was
/// used; {not_found} for 404; {corrupt} for a wrong digest.
class Client {
 public:
  explicit Client(Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Where to read: from mirrors first, or where a push would write, as is needed to add to what is there.
  enum class From { mirrors, upstream };
  /// GET of a manifest or index by tag or digest; verified against the digest if the reference has one.
  FetchedManifest manifest(const Reference& reference, From from = From::mirrors);
  /// HEAD: digest a tag points to now; nullopt for 404.
  std::optional<Descriptor> resolve(const Reference& reference);
  /// Streams one blob into `store`, resuming with Range after a broken transfer. Verified with the digest that the
  /// descriptor has, also sha512. Returns the one it is stored under.
  Digest fetch_blob(const Reference& repository, const Descriptor& descriptor, BlobStore& store,
                    const Transferred& progress = nullptr);
  /// Bytes of a blob, as the registry has them: nothing is verified. Nullopt if it does not give them in parts. Throws
  /// Error{cancelled} only.
  std::optional<std::string> fetch_range(const Reference& repository, const Descriptor& descriptor,
                                         std::uint64_t offset, std::uint64_t size);
  /// The whole of a small blob (config). Verified.
  std::string fetch_small_blob(const Reference& repository, const Descriptor& descriptor);

  enum class PushOutcome { exists, mounted, uploaded };
  /// Uploads a blob from `store` unless the registry has it; tries a cross-repository mount from `mount_from`
  /// first.
  PushOutcome push_blob(const Reference& repository, const Descriptor& descriptor, BlobStore& store,
                        const std::optional<Reference>& mount_from, const Transferred& progress = nullptr);
  /// Without having the content: true if the registry has the blob, or could mount it from `mount_from`.
  bool offer_blob(const Reference& repository, const Descriptor& descriptor,
                  const std::optional<Reference>& mount_from);
  /// Opens the upload of a blob that is still being written (streamed_upload.h). The client must outlive it.
  std::unique_ptr<StreamedUpload> begin_upload(const Reference& repository);
  /// HEAD, as the first question of a push: whether the reference gives this manifest already. Only a clear yes counts,
  /// all else is for the push to find out. Throws Error{cancelled} only.
  bool has_manifest(const Reference& reference, const Digest& digest);
  /// PUT by tag (or by digest when the reference has no tag). Returns the digest.
  Digest push_manifest(const Reference& reference, std::string_view media_type, std::string_view body);

  /// PUT of a manifest with a subject, by its digest. Where the registry does not note it by itself, the tag that lists
  /// the subject's referrers is written too. Returns the digest.
  Digest push_referrer(const Reference& repository, std::string_view media_type, std::string_view body);

  struct AccountCheck {
    bool was_asked = false;      ///< else nothing was checked
    std::string identity_token;  ///< with Options::wants_identity, to be kept in the place of the password; or empty
  };
  /// Asks the registry's root ("/v2/") with the account for it. Throws Error{denied} for an account that it does not
  /// take.
  AccountCheck check_account(const std::string& registry);

  /// The manifests that have `subject` as theirs: of the registry's list (distribution-spec, "Listing Referrers"), else
  /// of the index under the subject's tag. At most what one answer has. None: an empty list.
  std::vector<Descriptor> referrers(const Reference& repository, const Digest& subject);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::oci::registry
