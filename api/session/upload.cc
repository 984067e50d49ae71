// SPDX-License-Identifier: Apache-2.0
#include "api/proto/upload.grpc.pb.h"
#include "api/session/session_impl.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {

std::uint64_t ClientSession::pull_upload(const std::string& id, int fd, std::uint64_t limit,
                                         const CancelSource* cancel) {
  const SessionChannel& session = impl_->channel;
  const std::string subject = cat("upload '", id, "' of the client");
  session.require(method::kPull, subject);
  ClientCall call(session, subject, cancel);
  call.add_metadata("urlhost", "buildkit-session");
  call.add_metadata("urlpath", "/" + id);
  const auto stub = ::moby::upload::v1::Upload::NewStub(session.channel);
  const auto stream = stub->Pull(call.context());
  std::uint64_t size = 0;
  try {
    for (::moby::upload::v1::BytesMessage message; stream->Read(&message);) {
      size += message.data().size();
      if (size > limit) throw Error(ErrorCode::input, cat(subject, " has more than ", limit, " bytes"));
      sys::write_all(fd, message.data());
    }
  } catch (...) {
    call.context()->TryCancel();
    throw;
  }
  call.check(stream->Finish());
  return size;
}

}  // namespace cbuild::api
