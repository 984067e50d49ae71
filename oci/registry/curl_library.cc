// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/curl_library.h"

#include <dlfcn.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::registry {

namespace {

/// libcurl and its TLS library register exit handlers, so it is never unloaded.
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;

void* open_library() {
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
    if (void* handle = ::dlopen(name, kOpenFlags)) return handle;
  }
  const char* reason = ::dlerror();
  throw Error(ErrorCode::unsupported, cat("cannot open libcurl.so.4, which registries are reached with: ",
                                          reason == nullptr ? "unknown error" : reason))
      .with_hint("install libcurl (Debian: libcurl4)");
}

template <typename Function>
void bind(void* handle, const char* name, Function& function) {
  void* symbol = ::dlsym(handle, name);
  if (symbol == nullptr) {
    throw Error(ErrorCode::unsupported, cat("libcurl has no ", name, "; 7.66 or newer is needed"));
  }
  function = reinterpret_cast<Function>(symbol);
}

}  // namespace

CurlLibrary::CurlLibrary() : handle_(open_library()) {
  bind(handle_, "curl_global_init", global_init);
  bind(handle_, "curl_global_cleanup", global_cleanup);
  bind(handle_, "curl_version_info", version_info);
  bind(handle_, "curl_easy_init", easy_init);
  bind(handle_, "curl_easy_cleanup", easy_cleanup);
  bind(handle_, "curl_easy_reset", easy_reset);
  bind(handle_, "curl_easy_setopt", easy_setopt);
  bind(handle_, "curl_easy_strerror", easy_strerror);
  bind(handle_, "curl_multi_init", multi_init);
  bind(handle_, "curl_multi_cleanup", multi_cleanup);
  bind(handle_, "curl_multi_setopt", multi_setopt);
  bind(handle_, "curl_multi_add_handle", multi_add_handle);
  bind(handle_, "curl_multi_remove_handle", multi_remove_handle);
  bind(handle_, "curl_multi_perform", multi_perform);
  bind(handle_, "curl_multi_poll", multi_poll);
  bind(handle_, "curl_multi_info_read", multi_info_read);
  bind(handle_, "curl_multi_strerror", multi_strerror);
  bind(handle_, "curl_share_init", share_init);
  bind(handle_, "curl_share_setopt", share_setopt);
  bind(handle_, "curl_share_cleanup", share_cleanup);
  bind(handle_, "curl_slist_append", slist_append);
  bind(handle_, "curl_slist_free_all", slist_free_all);
  if (const CURLcode code = global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) {
    throw Error(ErrorCode::unsupported, cat("libcurl does not start: ", easy_strerror(code)));
  }
}

CurlLibrary::~CurlLibrary() { global_cleanup(); }

CurlShare::CurlShare(const CurlLibrary& curl) : curl_(curl), share_(curl.share_init()) {
  CBUILD_CHECK(share_ != nullptr);
  const curl_lock_function lock = [](CURL*, curl_lock_data data, curl_lock_access, void* self) {
    static_cast<CurlShare*>(self)->locks_[data].lock();
  };
  const curl_unlock_function unlock = [](CURL*, curl_lock_data data, void* self) {
    static_cast<CurlShare*>(self)->locks_[data].unlock();
  };
  curl_.share_setopt(share_, CURLSHOPT_LOCKFUNC, lock);
  curl_.share_setopt(share_, CURLSHOPT_UNLOCKFUNC, unlock);
  curl_.share_setopt(share_, CURLSHOPT_USERDATA, this);
  curl_.share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
  curl_.share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

CurlShare::~CurlShare() { curl_.share_cleanup(share_); }

}  // namespace cbuild::oci::registry
