// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/error.h"
#include "base/http/curl_library.h"
#include "base/http/http.h"
#include "base/text.h"

namespace cbuild::http {

/// The options of one easy handle for one request: method, headers, TLS, proxy; all but the callbacks. They hold until
/// this ends, and so must the request. Included by the sources that wrap libcurl only.
class EasyOptions {
 public:
  EasyOptions(const CurlLibrary& curl, CURL* easy);
  ~EasyOptions();
  EasyOptions(const EasyOptions&) = delete;
  EasyOptions& operator=(const EasyOptions&) = delete;

  /// Throws Error{input} for a header with a line break, {unsupported} for an option that this libcurl does not have.
  void apply(const Request& request, CURLSH* share);

  template <typename T>
  void set(CURLoption option, T value) {
    if (const CURLcode code = curl_.easy_setopt(easy_, option, value); code != CURLE_OK)
      throw Error(ErrorCode::unsupported,
                  cat("libcurl option ", static_cast<int>(option), ": ", curl_.easy_strerror(code)));
  }
  CURL* easy() const { return easy_; }
  /// What libcurl says of a failure.
  std::string explain(CURLcode code) const { return error_text_[0] != '\0' ? error_text_ : curl_.easy_strerror(code); }

 private:
  void set_method(const Request& request);
  void set_headers(const HeaderList& headers);
  void set_tls(const Request& request);
  void set_proxy(const Url& url);

  const CurlLibrary& curl_;
  CURL* const easy_;
  curl_slist* headers_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = {};
  std::string ca_bundle_;
};

}  // namespace cbuild::http
