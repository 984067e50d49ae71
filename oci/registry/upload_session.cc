// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/upload_session.h"

#include "base/error.h"
#include "base/text.h"
#include "oci/registry/failure.h"

namespace cbuild::oci::registry {

namespace {

constexpr int kAnswerFactor = 5;  // a registry that copies the blob to its storage before it answers is silent for long
constexpr std::chrono::seconds kGiveUpTimeout{2};

}  // namespace

UploadSession::UploadSession(Transport& transport, const Call& post, const Transport::Answer& answer)
    : transport_(transport), call_(post) {
  const std::string_view location = answer.response.header("location");
  if (location.empty()) {
    throw Error(ErrorCode::network, cat(post.doing, ": the registry names no place for the upload"));
  }
  call_.request = {};
  call_.request.limits = post.request.limits;
  call_.request.url = transport_.follow(post, answer.url, location);
}

Call UploadSession::call(const char* method) const {
  Call out = call_;
  out.request.method = method;
  return out;
}

Call UploadSession::put(const Digest& digest) const {
  Call out = call("PUT");
  add_query(out.request.url, "digest", digest.str());
  out.request.headers.emplace_back("Content-Type", "application/octet-stream");
  out.request.limits.answer *= kAnswerFactor;
  return out;
}

void UploadSession::follow(const Transport::Answer& answer) {
  const std::string_view location = answer.response.header("location");
  if (!location.empty()) call_.request.url = transport_.follow(call_, answer.url, location);
}

void UploadSession::give_up() const noexcept {
  try {
    Call drop = call("DELETE");
    drop.request.limits = {.connect = kGiveUpTimeout, .answer = kGiveUpTimeout, .window = kGiveUpTimeout, .rate = 0};
    drop.request.cancellable = false;
    transport_.once(drop);
  } catch (...) {
    return;  // the failure before counts
  }
}

void check_stored(const http::Response& response, const Reference& reference, const Digest& expected) {
  const auto named = Digest::parse(response.header("docker-content-digest"));
  if (named && *named != expected)
    throw Error(ErrorCode::corrupt, cat(reference.registry, " stored ", named->str(), " instead of ", expected.str()));
}

bool is_lost_upload(const http::Response& response) {
  return has_code(response, "BLOB_UPLOAD_UNKNOWN") || has_code(response, "BLOB_UPLOAD_INVALID");
}

}  // namespace cbuild::oci::registry
