// SPDX-License-Identifier: Apache-2.0
// An archive to a client: a thread reads a pipe and sends its bytes.
#include "api/session/archive_sender.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <thread>
#include <utility>

#include "api/proto/filesync.grpc.pb.h"
#include "api/session/exporter_metadata.h"
#include "api/session/session_impl.h"
#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using ArchiveBytes = ::moby::filesync::v1::BytesMessage;

constexpr std::size_t kArchiveChunk = 1u << 20;  // clients take up to 4 MiB

class PipeSender : public ArchiveSender {
 public:
  PipeSender(const SessionChannel& session, const std::string& subject, int exporter_index,
             const std::map<std::string, std::string>& metadata, const CancelSource* cancel)
      : call_(session, subject, cancel),
        stub_(::moby::filesync::v1::FileSend::NewStub(session.channel)),
        pipe_(make_pipe()),
        stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (!stop_) throw_errno(errno, "eventfd");
    // A writer then seldom waits for the other thread; where the limit of the user is reached the pipe stays small.
    ::fcntl(pipe_.write.get(), F_SETPIPE_SZ, static_cast<int>(kArchiveChunk));
    add_exporter_metadata(call_, exporter_index, metadata);
    stream_ = stub_->DiffCopy(call_.context());
    thread_ = start_thread([this] { run(); });
  }
  ~PipeSender() override {
    if (!thread_.joinable()) return;
    call_.context()->TryCancel();
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(stop_.get(), &one, sizeof one);
    thread_.join();
    stream_->Finish();
  }

  int fd() const override { return pipe_.write.get(); }

  void finish() override {
    pipe_.write.reset();
    thread_.join();
    for (ArchiveBytes message; stream_->Read(&message);) {
    }
    const grpc::Status status = stream_->Finish();
    if (failure_) std::rethrow_exception(failure_);
    if (status.error_code() == grpc::ALREADY_EXISTS)
      throw Error(ErrorCode::usage, cat(call_.subject(), ": its target is there already"));
    call_.check(status);
    if (!whole_) throw Error(ErrorCode::network, cat(call_.subject(), ": the client ended before it had everything"));
  }

 private:
  void run() {
    try {
      whole_ = send_all();
    } catch (...) {
      failure_ = std::current_exception();
      call_.context()->TryCancel();
    }
    pipe_.read.reset();
  }

  bool send_all() {
    ArchiveBytes message;
    for (;;) {
      pollfd fds[] = {{pipe_.read.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0 && errno != EINTR) throw_errno(errno, "poll");
      if (fds[1].revents != 0) return false;
      if (fds[0].revents == 0) continue;
      std::string& data = *message.mutable_data();
      data.resize(kArchiveChunk);
      data.resize(sys::read_some(pipe_.read.get(), std::as_writable_bytes(std::span(data))));
      if (data.empty()) return stream_->WritesDone();
      if (!stream_->Write(message)) return false;
    }
  }

  ClientCall call_;
  std::unique_ptr<::moby::filesync::v1::FileSend::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<ArchiveBytes, ArchiveBytes>> stream_;
  Pipe pipe_;
  UniqueFd stop_;
  bool whole_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;  ///< until it has ended, it has the read end, whole_ and failure_
};

}  // namespace

std::unique_ptr<ArchiveSender> ClientSession::send_archive(int exporter_index,
                                                           const std::map<std::string, std::string>& metadata,
                                                           const CancelSource* cancel) {
  const std::string subject = cat("send output ", exporter_index, " to the client");
  impl_->channel.require(method::kSend, subject);
  return std::make_unique<PipeSender>(impl_->channel, subject, exporter_index, metadata, cancel);
}

}  // namespace cbuild::api
