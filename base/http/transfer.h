// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <memory>

#include "base/http/curl_library.h"
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
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Response run();

 private:
  template <typename T>
  void set(CURLoption option, T value);
  void set_up();
  void set_method();
  void set_headers();
  void set_tls();
  void set_proxy();
  CURLcode drive();
  bool wait();
  void classify(CURLcode code);

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_read(char* data, std::size_t size, std::size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static int on_connected(void* self, char*, char*, int, int);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent);
  void take_header(std::string_view line);
  bool take_body(std::span<const std::byte> data);
  std::size_t give_body(std::span<std::byte> buffer);

  const CurlLibrary& curl_;
  CURLSH* share_;
  CURLM* multi_;
  CURL* easy_;
  const Request& request_;
  const CancelSource* cancel_;
  Response response_;
  curl_slist* headers_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = {};
  std::exception_ptr thrown_;
  std::string ca_bundle_;
  std::uint64_t sent_ = 0, header_bytes_ = 0, discarded_ = 0;
  Pace pace_;
  std::optional<TransportFailure> late_;  ///< set by Pace
  bool cancelled_ = false, too_large_ = false;
};

}  // namespace cbuild::http
