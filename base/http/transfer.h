// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <optional>

#include "base/http/answer_reader.h"
#include "base/http/curl_library.h"
#include "base/http/easy_options.h"
#include "base/http/http.h"
#include "base/http/pace.h"

namespace cbuild::http {

/// One exchange on one libcurl handle, driven through a multi handle so that a cancel ends it at once. The
/// multi handle holds the connections that outlive the exchange. Included by the sources that wrap libcurl
/// only.
class Transfer {
 public:
  Transfer(const CurlLibrary& curl, CURLSH* share, CURLM* multi, CURL* easy, const Request& request,
           const CancelSource* cancel);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Response run();

 private:
  void set_callbacks();
  CURLcode drive();
  bool wait();
  std::size_t give_body(std::span<std::byte> buffer);
  std::size_t give_stream(std::span<std::byte> buffer);

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_read(char* data, std::size_t size, std::size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static int on_connected(void* self, char*, char*, int, int);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent);

  const CurlLibrary& curl_;
  CURLM* multi_;
  const Request& request_;
  const CancelSource* cancel_;
  EasyOptions options_;
  AnswerReader answer_;
  Pace pace_;
  std::uint64_t sent_ = 0;  ///< of the request's body
  std::exception_ptr thrown_;
  std::optional<TransportFailure> late_;  ///< set by Pace
  bool cancelled_ = false;
};

}  // namespace cbuild::http
