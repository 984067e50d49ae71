// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "oci/registry/transport.h"

namespace cbuild::oci::registry {

/// An upload that a registry has opened: where its next request goes, and how it is given up.
class UploadSession {
 public:
  /// From the answer to `post`, which opened it. Throws Error{network} if it names no place.
  UploadSession(Transport& transport, const Call& post, const Transport::Answer& answer);

  /// A request with this method at the place of the upload.
  Call call(const char* method) const;
  /// The request that completes it.
  Call put(const Digest& digest) const;
  /// Takes over the place that an answer within the upload names, if it names one.
  void follow(const Transport::Answer& answer);
  /// DELETE. Best effort, also after a cancel; the registry drops forgotten uploads by itself some day.
  void give_up() const noexcept;

 private:
  Transport& transport_;
  Call call_;
};

/// Throws Error{corrupt} if the answer to a PUT names another blob.
void check_stored(const http::Response& response, const Reference& reference, const Digest& expected);
/// The registry says that it does not know, or has damaged, the upload: another one may work.
bool is_lost_upload(const http::Response& response);

}  // namespace cbuild::oci::registry
