// SPDX-License-Identifier: Apache-2.0
#pragma once

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include <mutex>

/// libcurl, opened with dlopen: linking it would make every start of the program load some 36 shared objects. In the
/// static program (CBUILD_STATIC) it is linked in.
/// Included by the sources that wrap the library only.
namespace cbuild::http {

struct CurlLibrary {
  /// Throws Error{unsupported} when there is no libcurl on this machine.
  CurlLibrary();
  ~CurlLibrary();
  CurlLibrary(const CurlLibrary&) = delete;
  CurlLibrary& operator=(const CurlLibrary&) = delete;

  decltype(&::curl_global_init) global_init;
  decltype(&::curl_global_cleanup) global_cleanup;
  decltype(&::curl_version_info) version_info;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_setopt) multi_setopt;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_strerror) multi_strerror;
  decltype(&::curl_share_init) share_init;
  decltype(&::curl_share_setopt) share_setopt;
  decltype(&::curl_share_cleanup) share_cleanup;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;

 private:
  [[maybe_unused]] void* handle_ = nullptr;
};

/// DNS answers and TLS sessions shared by all handles. Connections are not: libcurl does not support that
/// across threads.
class CurlShare {
 public:
  explicit CurlShare(const CurlLibrary& curl);
  ~CurlShare();
  CurlShare(const CurlShare&) = delete;
  CurlShare& operator=(const CurlShare&) = delete;
  CURLSH* get() const { return share_; }

 private:
  const CurlLibrary& curl_;
  CURLSH* share_;
  std::mutex locks_[CURL_LOCK_DATA_LAST];
};

}  // namespace cbuild::http
