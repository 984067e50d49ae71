// SPDX-License-Identifier: Apache-2.0
// Uploads one blob: HEAD, whether it is there; POST, which mounts it from another repository or opens an upload; one
// PUT with everything. An upload that failed is deleted and begun again, after a look whether the blob has arrived and
// only the answer was lost. offer_blob() stops before the upload, for layers that are not in the store.
#include "oci/registry/blob_push.h"

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/registry/upload_session.h"

namespace cbuild::oci::registry {

namespace {

class Upload {
 public:
  Upload(Transport& transport, const Reference& reference, const Descriptor& descriptor, BlobStore* store,
         const std::optional<Reference>& mount_from, const Transferred& progress)
      : transport_(transport), reference_(reference), descriptor_(descriptor), store_(store), progress_(progress) {
    const bool other =
        mount_from && mount_from->registry == reference.registry && mount_from->repository != reference.repository;
    if (other) source_ = mount_from->repository;
  }

  bool offer() {
    if (exists()) return true;
    if (source_.empty()) return false;
    const std::optional<UploadSession> upload = begin();
    if (upload) upload->give_up();
    return !upload;
  }

  Client::PushOutcome run() {
    if (exists()) return Client::PushOutcome::exists;
    for (unsigned attempt = 1;; ++attempt) {
      const std::optional<UploadSession> upload = begin();
      if (!upload) return Client::PushOutcome::mounted;
      Call put = put_call(*upload);
      const Transport::Answer answer = send_content(*upload, put);
      if (answer.response.ok()) {
        check_stored(answer.response, reference_, descriptor_.digest);
        return Client::PushOutcome::uploaded;
      }
      if (!worth_another(put, answer, attempt)) transport_.fail(put, answer);
      if (exists()) return Client::PushOutcome::uploaded;  // the answer got lost, not the blob
    }
  }

 private:
  Call call(const char* method, const std::string& rest) {
    ScopeSet scopes = ScopeSet::push(reference_.repository);
    if (!source_.empty()) scopes.add(ScopeSet::pull(source_));  // one token for both, though HEAD needs less
    Call out =
        transport_.call(reference_, rest, scopes, cat("push of ", descriptor_.digest.str(), " to ", reference_.name()));
    out.request.method = method;
    return out;
  }

  /// Runs a call that asks for access to the source of a mount too; without that right the mount is given up.
  template <typename F>
  Transport::Answer with_source(F&& make_call) {
    try {
      return transport_.send(make_call());
    } catch (const Error& e) {
      if (e.code() != ErrorCode::denied || source_.empty()) throw;
      source_.clear();
      return transport_.send(make_call());
    }
  }

  bool exists() {
    const Transport::Answer answer = with_source([&] { return call("HEAD", "blobs/" + descriptor_.digest.str()); });
    if (answer.response.failure) transport_.fail(call("HEAD", ""), answer);
    const auto length = parse_int(answer.response.header("content-length"));
    if (length && *length > 0 && static_cast<std::uint64_t>(*length) != descriptor_.size) return false;  // damaged
    return answer.response.ok();  // any other answer: the upload will tell more
  }

  /// Opens an upload session; nullopt when the registry has mounted the blob instead.
  std::optional<UploadSession> begin() {
    Transport::Answer answer = with_source([&] { return post_call(); });
    if (!answer.response.ok() && !answer.response.failure && !source_.empty()) {
      source_.clear();  // refused, or the registry does not know about mounts
      answer = transport_.send(post_call());
    }
    if (!answer.response.ok()) transport_.fail(post_call(), answer);
    if (answer.response.status == 201 && !source_.empty()) return std::nullopt;
    if (answer.response.status == 201) {
      throw Error(ErrorCode::network, cat(post_call().doing, ": HTTP 201, but nothing has been uploaded yet"));
    }
    return UploadSession(transport_, post_call(), answer);
  }

  Call post_call() {
    Call out = call("POST", "blobs/uploads/");
    if (!source_.empty()) {
      add_query(out.request.url, "mount", descriptor_.digest.str());
      add_query(out.request.url, "from", source_);
    }
    return out;
  }

  Call put_call(const UploadSession& upload) {
    Call out = upload.put(descriptor_.digest);
    out.request.body_size = descriptor_.size;
    if (progress_) out.request.on_sent = [this](std::uint64_t sent) { progress_(sent, descriptor_.size); };
    return out;
  }

  Transport::Answer send_content(const UploadSession& upload, Call& put) {
    const UniqueFd content = store_->open(descriptor_.digest);
    put.request.body_fd = content.get();
    try {
      Transport::Answer answer = transport_.once(put);
      if (!answer.response.ok()) upload.give_up();
      return answer;
    } catch (...) {  // cancelled, or the blob is gone: leave nothing at the registry
      upload.give_up();
      throw;
    }
  }

  bool worth_another(const Call& put, const Transport::Answer& answer, unsigned attempt) {
    if (!is_lost_upload(answer.response)) return transport_.again(put, answer, attempt);
    Transport::Answer broken = answer;
    broken.response.failure = {http::TransportFailure::Kind::broken, transport_.explain(answer.response)};
    return transport_.again(put, broken, attempt);
  }

  Transport& transport_;
  const Reference& reference_;
  const Descriptor& descriptor_;
  BlobStore* store_;  ///< null when there is nothing to send, only to offer
  const Transferred progress_;
  std::string source_;  ///< repository to mount from, or empty
};

}  // namespace

Client::PushOutcome upload_blob(Transport& transport, const Reference& reference, const Descriptor& descriptor,
                                BlobStore& store, const std::optional<Reference>& mount_from,
                                const Transferred& progress) {
  return Upload(transport, reference, descriptor, &store, mount_from, progress).run();
}

bool offer_blob(Transport& transport, const Reference& reference, const Descriptor& descriptor,
                const std::optional<Reference>& mount_from) {
  return Upload(transport, reference, descriptor, nullptr, mount_from, nullptr).offer();
}

}  // namespace cbuild::oci::registry
