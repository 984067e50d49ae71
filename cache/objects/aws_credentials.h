// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "cache/objects/aws_signature.h"
#include "cache/objects/object_http.h"

namespace cbuild::cache {

/// Finds the account for AWS as Amazon's programs do, the first that is there: keys that were given; AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, changed at the token
/// service; the profile AWS_PROFILE of ~/.aws/credentials; the container's service
/// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, _FULL_URI); the instance's service, unless AWS_EC2_METADATA_DISABLED.
/// Temporary ones are renewed before they end. Thread-safe.
class AwsCredentials {
 public:
  /// `options` as those of the store; `region` is that of the token service.
  AwsCredentials(std::optional<AwsKeys> given, std::string region, const ObjectOptions& options);

  /// Throws Error{denied} that names the places if none has an account.
  AwsKeys keys();

 private:
  AwsKeys find();
  std::optional<AwsKeys> from_web_identity();
  std::optional<AwsKeys> from_container();
  std::optional<AwsKeys> from_instance();
  AwsKeys read_answer(const http::Response& response, const std::string& from) const;

  const std::optional<AwsKeys> given_;
  const std::string region_;
  const ObjectOptions options_;
  ObjectHttp http_;
  std::mutex mutex_;  // guards known_
  std::optional<AwsKeys> known_;
};

/// The keys of a profile in the text of a credentials file; nullopt if it has none. An ini file: "[name]", "key =
/// value".
std::optional<AwsKeys> parse_aws_profile(std::string_view text, std::string_view profile);

}  // namespace cbuild::cache
