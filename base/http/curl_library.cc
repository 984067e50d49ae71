// SPDX-License-Identifier: Apache-2.0
#include "base/http/curl_library.h"

#include <dlfcn.h>

#include "base/error.h"
#include "base/process/name_services.h"
#include "base/text.h"

namespace cbuild::http {

namespace {

#ifdef CBUILD_STATIC
void* open_library() {
  use_builtin_name_services();
  return nullptr;
}

#define CBUILD_CURL_BIND(name) name = &::curl_##name
#else
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

#define CBUILD_CURL_BIND(name) bind(handle_, "curl_" #name, name)
#endif

}  // namespace

CurlLibrary::CurlLibrary() : handle_(open_library()) {
  CBUILD_CURL_BIND(global_init);
  CBUILD_CURL_BIND(global_cleanup);
  CBUILD_CURL_BIND(version_info);
  CBUILD_CURL_BIND(easy_init);
  CBUILD_CURL_BIND(easy_cleanup);
  CBUILD_CURL_BIND(easy_reset);
  CBUILD_CURL_BIND(easy_setopt);
  CBUILD_CURL_BIND(easy_strerror);
  CBUILD_CURL_BIND(multi_init);
  CBUILD_CURL_BIND(multi_cleanup);
  CBUILD_CURL_BIND(multi_setopt);
  CBUILD_CURL_BIND(multi_add_handle);
  CBUILD_CURL_BIND(multi_remove_handle);
  CBUILD_CURL_BIND(multi_perform);
  CBUILD_CURL_BIND(multi_poll);
  CBUILD_CURL_BIND(multi_info_read);
  CBUILD_CURL_BIND(multi_strerror);
  CBUILD_CURL_BIND(share_init);
  CBUILD_CURL_BIND(share_setopt);
  CBUILD_CURL_BIND(share_cleanup);
  CBUILD_CURL_BIND(slist_append);
  CBUILD_CURL_BIND(slist_free_all);
  if (const CURLcode code = global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) {
    throw Error(ErrorCode::unsupported, cat("libcurl does not start: ", easy_strerror(code)));
  }
}
#undef CBUILD_CURL_BIND

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

}  // namespace cbuild::http
