// SPDX-License-Identifier: Apache-2.0
//
// One request and its answer. libcurl's easy handle is driven through a multi handle, because only that can wait for a
// cancel's event descriptor and the network at once. Limits are checked while bytes come: sizes by AnswerReader, the
// rate by Pace. A failure on the wire is a value in the Response, so that retry.cc can decide on another try; an
// exception of the caller's callback passes through libcurl's C frames as an exception_ptr.
#include "base/http/transfer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/http/curl_failure.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

/// Of a stream nobody knows.
std::uint64_t bytes_to_send(const Request& request) {
  if (request.body_fd < 0) return 0;
  return request.body_is_stream ? std::numeric_limits<std::uint64_t>::max() : request.body_size;
}

}  // namespace

Transfer::Transfer(const CurlLibrary& curl, CURLSH* share, CURLM* multi, CURL* easy, const Request& request,
                   const CancelSource* cancel)
    : curl_(curl),
      multi_(multi),
      request_(request),
      cancel_(cancel),
      options_(curl, easy),
      answer_(request),
      pace_(request.limits, bytes_to_send(request)) {
  options_.apply(request, share);
  set_callbacks();
}

void Transfer::set_callbacks() {
  void* const self = this;
  options_.set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  options_.set(CURLOPT_HEADERDATA, self);
  options_.set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  options_.set(CURLOPT_WRITEDATA, self);
  options_.set(CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
  options_.set(CURLOPT_PREREQDATA, self);
  if (request_.body_fd < 0 || request_.method == "HEAD") return;
  options_.set(CURLOPT_READFUNCTION, &Transfer::on_read);
  options_.set(CURLOPT_READDATA, self);
  options_.set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
  options_.set(CURLOPT_SEEKDATA, self);
  options_.set(CURLOPT_NOPROGRESS, 0L);
  options_.set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  options_.set(CURLOPT_XFERINFODATA, self);
}

Response Transfer::run() {
  const CURLcode code = drive();
  if (cancelled_) throw Error(ErrorCode::cancelled, "cancelled");
  if (thrown_) std::rethrow_exception(thrown_);
  Response response = std::move(answer_.response());
  if (late_) {
    response.failure = late_;
  } else if (auto over = answer_.over_limit()) {
    response.failure = std::move(over);
  } else if (code != CURLE_OK && !answer_.has_enough()) {
    response.failure = failure_of(code, options_.explain(code));
  }
  return response;
}

CURLcode Transfer::drive() {
  if (const CURLMcode code = curl_.multi_add_handle(multi_, options_.easy()); code != CURLM_OK) {
    throw Error(ErrorCode::network, cat("libcurl: ", curl_.multi_strerror(code)));
  }
  const ScopeExit remove([&] { curl_.multi_remove_handle(multi_, options_.easy()); });
  int running = 1;
  while (true) {
    if (const CURLMcode code = curl_.multi_perform(multi_, &running); code != CURLM_OK) {
      throw Error(ErrorCode::network, cat("libcurl: ", curl_.multi_strerror(code)));
    }
    if (running == 0) break;
    if (!wait()) return CURLE_ABORTED_BY_CALLBACK;
  }
  int left = 0;
  const CURLMsg* message = curl_.multi_info_read(multi_, &left);
  return message == nullptr ? CURLE_ABORTED_BY_CALLBACK : message->data.result;
}

/// Waits for the network; false when the exchange has to end.
bool Transfer::wait() {
  cancelled_ = cancel_ != nullptr && cancel_->cancelled();
  late_ = pace_.over();
  if (cancelled_ || late_) return false;
  curl_waitfd cancel_fd{};
  if (cancel_ != nullptr) {
    cancel_fd.fd = cancel_->event_fd();
    cancel_fd.events = CURL_WAIT_POLLIN;
  }
  const std::int64_t before = sys::monotonic_ns();
  curl_.multi_poll(multi_, &cancel_fd, cancel_ == nullptr ? 0u : 1u,
                   static_cast<int>(std::min<std::int64_t>(pace_.left().count(), 1000)), nullptr);
  pace_.waited(std::chrono::nanoseconds(sys::monotonic_ns() - before));
  return true;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (!transfer.answer_.take_header({data, size * count})) return 0;
  if (transfer.answer_.is_final()) transfer.pace_.received(size * count);
  return size * count;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.pace_.received(size * count);
    return transfer.answer_.take_body(std::as_bytes(std::span(data, size * count))) ? size * count : 0;
  } catch (...) {  // must not unwind through libcurl
    transfer.thrown_ = std::current_exception();
    return 0;
  }
}

std::size_t Transfer::on_read(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    return transfer.give_body(std::as_writable_bytes(std::span(data, size * count)));
  } catch (...) {  // must not unwind through libcurl
    transfer.thrown_ = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

int Transfer::on_connected(void* self, char*, char*, int, int) {
  static_cast<Transfer*>(self)->pace_.connected();
  return CURL_PREREQFUNC_OK;
}

int Transfer::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
  static_cast<Transfer*>(self)->pace_.sent(static_cast<std::uint64_t>(std::max<curl_off_t>(sent, 0)));
  return 0;
}

std::size_t Transfer::give_stream(std::span<std::byte> buffer) {
  const std::size_t got = sys::read_some(request_.body_fd, buffer);
  sent_ += got;
  return got;
}

std::size_t Transfer::give_body(std::span<std::byte> buffer) {
  if (request_.body_is_stream) return give_stream(buffer);
  const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), request_.body_size - sent_);
  ssize_t got = 0;
  do {
    got = ::pread(request_.body_fd, buffer.data(), wanted, static_cast<off_t>(request_.body_offset + sent_));
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw_errno(errno, "read of the blob to upload");
  if (got == 0 && wanted > 0) throw Error(ErrorCode::corrupt, "the blob to upload is shorter than its descriptor says");
  sent_ += static_cast<std::uint64_t>(got);
  if (request_.on_sent) request_.on_sent(sent_);
  return static_cast<std::size_t>(got);
}

int Transfer::on_seek(void* self, curl_off_t offset, int origin) {
  const bool stream = static_cast<Transfer*>(self)->request_.body_is_stream;
  if (origin != SEEK_SET || stream) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(self)->sent_ = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

}  // namespace cbuild::http
