// SPDX-License-Identifier: Apache-2.0
#include "base/http/http.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "base/http/curl_library.h"
#include "base/http/transfer.h"

namespace cbuild::http {

namespace {

/// A pair of libcurl handles; the connections it keeps open lead to `host`.
struct Channel {
  explicit Channel(const CurlLibrary& library) : curl(library), multi(curl.multi_init()), easy(curl.easy_init()) {
    CBUILD_CHECK(multi != nullptr && easy != nullptr);
    curl.multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4L);
  }
  ~Channel() {
    curl.easy_cleanup(easy);
    curl.multi_cleanup(multi);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  const CurlLibrary& curl;
  CURLM* multi;
  CURL* easy;
  std::string host;
};

}  // namespace

std::string_view Response::header(std::string_view name) const {
  const auto it = std::find_if(headers.begin(), headers.end(), [&](const auto& h) { return h.first == name; });
  return it == headers.end() ? std::string_view() : it->second;
}

std::vector<std::string_view> Response::all(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [key, value] : headers) {
    if (key == name) out.push_back(value);
  }
  return out;
}

struct Pool::Impl {
  explicit Impl(Options o) : options(o) {}

  void open() {
    std::call_once(opened, [&] {
      curl = std::make_unique<CurlLibrary>();
      share = std::make_unique<CurlShare>(*curl);
    });
  }

  std::unique_ptr<Channel> take(const std::string& host, const CancelSource* cancel) {
    std::unique_lock lock(mutex);
    while (busy[host] >= options.max_connections_per_host) {
      if (cancel != nullptr) cancel->check();
      freed.wait_for(lock, std::chrono::milliseconds(50));
    }
    auto found = std::find_if(idle.rbegin(), idle.rend(), [&](const auto& c) { return c->host == host; });
    std::unique_ptr<Channel> channel;
    if (found != idle.rend()) {
      channel = std::move(*found);
      idle.erase(std::next(found).base());
    } else {
      channel = std::make_unique<Channel>(*curl);
      channel->host = host;
    }
    ++busy[host];
    return channel;
  }

  void give_back(std::unique_ptr<Channel> channel) {
    const std::lock_guard lock(mutex);
    --busy[channel->host];
    idle.push_back(std::move(channel));
    freed.notify_all();
  }

  const Options options;
  std::once_flag opened;
  std::unique_ptr<CurlLibrary> curl;
  std::unique_ptr<CurlShare> share;
  std::mutex mutex;  // guards all below
  std::condition_variable freed;
  std::vector<std::unique_ptr<Channel>> idle;
  std::map<std::string, unsigned> busy;
};

Pool::Pool(Options options) : impl_(std::make_unique<Impl>(options)) {}
Pool::~Pool() = default;

Response Pool::perform(const Request& request) {
  const CancelSource* cancel = request.cancellable ? impl_->options.cancel : nullptr;
  if (cancel != nullptr) cancel->check();
  impl_->open();
  std::unique_ptr<Channel> channel = impl_->take(request.url.origin(), cancel);
  Channel& held = *channel;
  const ScopeExit back([&] { impl_->give_back(std::move(channel)); });
  return Transfer(*impl_->curl, impl_->share->get(), held.multi, held.easy, request, cancel).run();
}

}  // namespace cbuild::http
