// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/http/url.h"
#include "cache/objects/aws_signature.h"
#include "cache/objects/object_store.h"

namespace cbuild::cache {

/// A bucket of Amazon S3 or of another service that speaks its protocol.
struct S3Place {
  std::string bucket, region;
  std::optional<http::Url> endpoint;     ///< of another service; its path is put before all names
  bool path_style = false;               ///< the bucket in the path of an endpoint, and not in its host's name
  std::optional<AwsKeys> keys;           ///< else AwsCredentials finds them
  std::uint64_t part_bytes = 32u << 20;  ///< larger objects are uploaded in parts of that size, or more where they
                                         ///< would be too many
};

/// Objects of up to 5 TB, the larger ones in several parts at once. put_if() needs a service that has conditional
/// writes; for another one there is a warning, and the last writer wins.
std::unique_ptr<ObjectStore> open_s3(S3Place place, const ObjectOptions& options);

}  // namespace cbuild::cache
