// SPDX-License-Identifier: Apache-2.0
#include "api/session/client_call.h"

#include <grpcpp/create_channel_posix.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "api/session/header_text.h"
#include "base/error.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr int kMaxMessage = 17 << 20;  // clients send up to 16 MiB
constexpr int kMsAfterEnd = 1000;
constexpr std::size_t kMaxText = 4096;  // of an error

std::shared_ptr<grpc::Channel> make_channel(UniqueFd end) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  arguments.SetMaxSendMessageSize(kMaxMessage);
  return grpc::CreateCustomInsecureChannelFromFd("localhost", end.release(), arguments);
}

std::set<std::string> lower_case(const std::vector<std::string>& methods) {
  std::set<std::string> result;
  for (const std::string& method : methods) result.insert(to_lower(method));
  return result;
}

struct CodeName {
  grpc::StatusCode status;
  std::string_view name;
  ErrorCode code;
};

constexpr CodeName kCodes[] = {
    {grpc::CANCELLED, "CANCELLED", ErrorCode::network},
    {grpc::UNKNOWN, "UNKNOWN", ErrorCode::io},
    {grpc::INVALID_ARGUMENT, "INVALID_ARGUMENT", ErrorCode::input},
    {grpc::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", ErrorCode::network},
    {grpc::NOT_FOUND, "NOT_FOUND", ErrorCode::not_found},
    {grpc::ALREADY_EXISTS, "ALREADY_EXISTS", ErrorCode::usage},
    {grpc::PERMISSION_DENIED, "PERMISSION_DENIED", ErrorCode::denied},
    {grpc::RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", ErrorCode::input},
    {grpc::FAILED_PRECONDITION, "FAILED_PRECONDITION", ErrorCode::io},
    {grpc::ABORTED, "ABORTED", ErrorCode::io},
    {grpc::OUT_OF_RANGE, "OUT_OF_RANGE", ErrorCode::io},
    {grpc::UNIMPLEMENTED, "UNIMPLEMENTED", ErrorCode::unsupported},
    {grpc::INTERNAL, "INTERNAL", ErrorCode::network},
    {grpc::UNAVAILABLE, "UNAVAILABLE", ErrorCode::network},
    {grpc::DATA_LOSS, "DATA_LOSS", ErrorCode::corrupt},
    {grpc::UNAUTHENTICATED, "UNAUTHENTICATED", ErrorCode::denied},
};

CodeName name_of(grpc::StatusCode status) {
  for (const CodeName& code : kCodes)
    if (code.status == status) return code;
  return {status, "of an unknown kind", ErrorCode::network};
}

}  // namespace

SessionChannel::SessionChannel(SessionHeader from, SessionStream stream, const SessionSettings& with)
    : header(std::move(from)),
      settings(with),
      methods(lower_case(header.methods)),
      tunnel(std::move(stream)),
      channel(make_channel(tunnel.take_end())) {}

bool SessionChannel::offers(std::string_view method) const { return methods.contains(to_lower(method)); }

void SessionChannel::require(std::string_view method, std::string_view subject) const {
  if (!offers(method)) throw Error(ErrorCode::unsupported, cat(subject, ": the client does not offer ", method));
}

ClientCall::ClientCall(const SessionChannel& session, std::string subject, const CancelSource* cancel,
                       std::chrono::milliseconds timeout)
    : session_(session), subject_(std::move(subject)), cancel_(cancel) {
  if (cancel != nullptr && cancel->cancelled()) throw Error(ErrorCode::cancelled, cat(subject_, ": cancelled"));
  if (timeout.count() > 0) context_.set_deadline(std::chrono::system_clock::now() + timeout);
  over_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!over_) throw_errno(errno, "eventfd");
  watch_ = start_thread([this] { watch(); });
}

/// When the session ends, gRPC ends the call by itself, except one that it has given to no connection yet. What the
/// client has sent before its end is still to be read, so that this waits.
void ClientCall::watch() {
  pollfd fds[] = {{over_.get(), POLLIN, 0},
                  {cancel_ == nullptr ? -1 : cancel_->event_fd(), POLLIN, 0},
                  {session_.tunnel.end_fd(), POLLIN, 0}};
  while (::poll(fds, 3, -1) < 0 && errno == EINTR) {
  }
  if (fds[0].revents == 0 && fds[1].revents == 0) ::poll(fds, 2, kMsAfterEnd);
  if (fds[0].revents == 0) context_.TryCancel();
}

ClientCall::~ClientCall() {
  if (!watch_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(over_.get(), &one, sizeof one);
  watch_.join();
}

void ClientCall::add_metadata(const std::string& key, const std::string& value) {
  if (!is_header_key(key) || !is_header_value(value))
    throw Error(ErrorCode::usage, cat(subject_, ": ", go_quote(value), " cannot be sent as ", key));
  context_.AddMetadata(key, value);
}

void ClientCall::check(const grpc::Status& status) const {
  if (status.ok()) return;
  if (cancel_ != nullptr && cancel_->cancelled()) throw Error(ErrorCode::cancelled, cat(subject_, ": cancelled"));
  if (!session_.tunnel.is_open()) throw Error(ErrorCode::network, cat(subject_, ": the client is gone"));
  const CodeName code = name_of(status.error_code());
  const std::string said = status.error_message().substr(0, kMaxText);
  if (status.error_code() == grpc::DEADLINE_EXCEEDED)
    throw Error(code.code, cat(subject_, ": the client does not answer"));
  throw Error(code.code, cat(subject_, ": ", said.empty() ? "failed" : said, " (", code.name, ")"));
}

}  // namespace cbuild::api
