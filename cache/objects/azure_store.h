// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/http/url.h"
#include "cache/objects/azure_signature.h"
#include "cache/objects/object_store.h"

namespace cbuild::cache {

/// A container of Azure's blob storage.
struct AzurePlace {
  http::Url account_url;  ///< its query is a shared access signature, which takes the place of the account's key
  std::string container;
  std::optional<AzureAccount> account;
  std::uint64_t part_bytes = 32u << 20;  ///< larger objects are uploaded in blocks of that size, or more where they
                                         ///< would be too many
};

/// Block blobs. The first object that is written makes the container, if it is missing and that is allowed.
std::unique_ptr<ObjectStore> open_azure(AzurePlace place, const ObjectOptions& options);

}  // namespace cbuild::cache
