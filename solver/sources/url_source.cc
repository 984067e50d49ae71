// SPDX-License-Identifier: Apache-2.0
//
// A URL is pinned to its content before the build: a conditional GET with the validators of its earlier answer, so that
// an unchanged file moves no byte. For each URL the latest contents are remembered as metadata of the source in the
// store; the content itself is a blob, which gc may take, and is then fetched again and compared.
#include "solver/sources/url_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/http/download.h"
#include "base/owner.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "cache/source_metadata.h"
#include "oci/json.h"
#include "oci/layer/unpack.h"

namespace cbuild::solver::ops {

namespace {

namespace json = oci::json;
using http::DownloadRequest;
using http::DownloadResult;

constexpr std::size_t kMaxKnown = 8;  // contents of one URL that are remembered
constexpr std::string_view kNoTime = "none";

/// One content a URL was seen to give.
struct Known {
  Digest content;
  std::string etag, modified;
  std::optional<std::int64_t> modified_s;
  bool modified_is_strong = false;
};

Digest url_key(const std::string& url) { return CanonicalWriter().text("url").text(url).hash(); }
Digest archive_key(const Digest& content) { return CanonicalWriter().text("newest file").digest(content).hash(); }

std::string to_text(const std::vector<Known>& known) {
  json::Writer writer;
  writer.begin_object().key("known").begin_array();
  for (const Known& one : known) {
    writer.begin_object().key("content").text(one.content.str());
    writer.opt_text("etag", one.etag).opt_text("modified", one.modified);
    if (one.modified_s) writer.key("modified_s").number(*one.modified_s);
    writer.opt_true("strong", one.modified_is_strong).end_object();
  }
  return writer.end_array().end_object().take();
}

std::vector<Known> parse_known(const std::string& text) {
  std::vector<Known> out;
  const nlohmann::json document = json::parse_object(text, 1u << 20, "metadata of a URL");
  const nlohmann::json* entries = json::array(document, "known");
  if (entries == nullptr) return out;
  for (const nlohmann::json& entry : *entries) {
    const auto content = Digest::parse(json::text(entry, "content"));
    if (!content) continue;
    Known known{*content, json::text(entry, "etag"), json::text(entry, "modified"), std::nullopt,
                json::boolean(entry, "strong")};
    if (json::find(entry, "modified_s") != nullptr) known.modified_s = json::integer(entry, "modified_s");
    out.push_back(std::move(known));
  }
  return out;
}

/// Which of the known contents an "unchanged" means; nullptr if that cannot be told.
const Known* meant_by(const http::DownloadResult& result, const std::vector<Known>& known) {
  const auto bare = [](std::string_view etag) { return etag.starts_with("W/") ? etag.substr(2) : etag; };
  const Known* only = nullptr;
  unsigned tagged = 0;
  for (const Known& one : known) {
    if (!one.etag.empty() && bare(one.etag) == bare(result.etag)) return &one;
    if (one.etag.empty()) continue;
    ++tagged;
    only = &one;
  }
  if (tagged > 1 || !result.etag.empty()) return nullptr;
  return tagged == 1 ? only : &known.front();
}

}  // namespace

struct UrlSources::Impl {
  Impl(SourceAccess a, std::uint64_t max)
      : access(std::move(a)),
        downloader({.max_attempts = 3,
                    .limits = access.limits,
                    .max_bytes = max,
                    .cancel = access.cancel,
                    .warn = [this](const std::string& text) {
                      if (access.progress) access.progress->on_event(RunNote{Severity::warning, text});
                    }}) {}

  std::vector<Known> known(const std::string& url);
  void remember(const std::string& url, const Known& now, std::vector<Known> before);
  UrlContent ask(const std::string& url, const Digest& expected);
  http::DownloadResult download(http::DownloadRequest request, SourceTask& task);
  http::DownloadRequest request_for(const std::string& url) const;
  std::string authorization(const std::string& url) const;

  const SourceAccess access;
  http::Downloader downloader;
  std::mutex mutex;  // guards asked
  std::map<std::string, UrlContent> asked;
};

std::vector<Known> UrlSources::Impl::known(const std::string& url) {
  const auto text = cache::read_source_metadata(access.store, url_key(url));
  if (!text) return {};
  try {
    return parse_known(*text);
  } catch (const Error&) {
    return {};  // written by another version
  }
}

void UrlSources::Impl::remember(const std::string& url, const Known& now, std::vector<Known> before) {
  std::erase_if(before, [&](const Known& one) {
    return one.content == now.content || (!now.etag.empty() && one.etag == now.etag);
  });
  before.insert(before.begin(), now);
  if (before.size() > kMaxKnown) before.resize(kMaxKnown);
  cache::write_source_metadata(access.store, url_key(url), to_text(before));
}

/// http::Secrets first; an account in the URL itself means the same as for any client.
std::string UrlSources::Impl::authorization(const std::string& url) const {
  const std::string host = host_of(url, false);
  if (access.secret) {
    if (const auto header = access.secret(cat("HTTP_AUTH_HEADER_", host))) return std::string(trim(*header));
    if (const auto token = access.secret(cat("HTTP_AUTH_TOKEN_", host))) return cat("Bearer ", trim(*token));
  }
  return basic_authorization(url);
}

http::DownloadRequest UrlSources::Impl::request_for(const std::string& url) const {
  const auto parsed = http::parse_url(without_user_info(url));
  if (!parsed) throw Error(ErrorCode::input, cat(shown_url(url), " is not a valid http URL"));
  http::DownloadRequest request;
  request.url = *parsed;
  request.authorization = authorization(url);
  return request;
}

http::DownloadResult UrlSources::Impl::download(http::DownloadRequest request, SourceTask& task) {
  return downloader.get(
      request, [this] { return access.store.blobs().create(); },
      [&](std::uint64_t bytes, std::uint64_t total) { task.count(bytes, total); });
}

UrlContent UrlSources::Impl::ask(const std::string& url, const Digest& expected) {
  const std::vector<Known> before = known(url);
  const auto same = std::find_if(before.begin(), before.end(), [&](const Known& k) { return k.content == expected; });
  if (!expected.empty() && same != before.end()) return {same->content, same->modified_s};

  http::DownloadRequest request = request_for(url);
  SourceTask task(access, cat("fetch ", shown_url(url)));
  request.content_is_known = !expected.empty();
  for (const Known& one : before)
    if (!one.etag.empty()) request.etags.push_back(one.etag);
  if (request.etags.empty() && !before.empty() && before.front().modified_is_strong)
    request.modified = before.front().modified;
  http::DownloadResult result = download(request, task);
  if (result.unchanged) {
    if (const Known* known = meant_by(result, before)) {
      const Known now = *known;
      task.done(true);
      remember(url, now, before);
      return {now.content, now.modified_s};
    }
    request.etags.clear();
    request.modified.clear();
    result = download(request, task);
  }
  task.done(false);
  remember(url, {result.content, result.etag, result.last_modified, result.last_modified_s, result.modified_is_strong},
           before);
  return {result.content, result.last_modified_s};
}

UrlSources::UrlSources(SourceAccess access, std::uint64_t max_bytes)
    : impl_(std::make_unique<Impl>(std::move(access), max_bytes)) {}
UrlSources::~UrlSources() = default;

UrlContent UrlSources::pin(const std::string& url, const Digest& expected) {
  const std::string key = cat(url, ' ', expected.str());
  {
    const std::lock_guard lock(impl_->mutex);
    if (const auto found = impl_->asked.find(key); found != impl_->asked.end()) return found->second;
  }
  const UrlContent content = impl_->ask(url, expected);
  const std::lock_guard lock(impl_->mutex);
  return impl_->asked.emplace(key, content).first->second;
}

void UrlSources::fetch(const std::string& url, const Digest& content) {
  if (impl_->access.store.blobs().size(content)) return;
  http::DownloadRequest request = impl_->request_for(url);
  request.content_is_known = true;
  SourceTask task(impl_->access, cat("fetch ", shown_url(url)));
  const http::DownloadResult result = impl_->download(request, task);
  impl_->remember(
      url, {result.content, result.etag, result.last_modified, result.last_modified_s, result.modified_is_strong},
      impl_->known(url));
  if (result.content != content)
    throw Error(ErrorCode::corrupt,
                cat(shown_url(url), " gives ", result.content.str(), " now instead of ", content.str()))
        .with_hint("it has changed meanwhile; build again");
  task.done(false);
}

std::optional<std::int64_t> UrlSources::newest_file(const std::string& url, const Digest& content) {
  cache::Store& store = impl_->access.store;
  if (const auto known = cache::read_source_metadata(store, archive_key(content))) return parse_int(*known);
  fetch(url, content);
  const UniqueFd archive = store.blobs().open(content);
  const std::optional<std::int64_t> time = oci::layer::newest_file_time(archive.get());
  cache::write_source_metadata(store, archive_key(content), time ? std::to_string(*time) : std::string(kNoTime));
  return time;
}

void make_url_tree(cache::Store& store, const HttpSource& source, const cache::Staging& staging,
                   const CancelSource* cancel) {
  const int tree_fd = staging.tree_fd();
  const UniqueFd blob = store.blobs().open(source.content);
  if (source.unpack) {
    oci::layer::UnpackOptions options;
    options.whiteouts = oci::layer::Whiteouts::keep;
    options.cancel = cancel;
    options.side = staging.side();
    oci::layer::unpack(blob.get(), tree_fd, options);
    return;
  }
  const bool plain = source.filename.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
  if (!plain || source.filename.empty() || source.filename == "." || source.filename == "..")
    throw Error(ErrorCode::input, cat(shown_url(source.url), " has no usable file name"));
  UniqueFd file = sys::open_at(tree_fd, source.filename, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  sys::copy_file_data(blob.get(), file.get(), static_cast<std::uint64_t>(sys::stat_fd(blob.get()).st_size));
  const struct timespec times[2] = {{source.mtime_s, 0}, {source.mtime_s, 0}};
  if (SideRecorder* side = staging.side())
    side->give(file.get(), "", {S_IFREG | (source.mode & 07777), source.uid, source.gid});
  else
    sys::set_owner_and_mode(file.get(), source.uid, source.gid, source.mode & 07777, source.filename.c_str());
  if (::futimens(file.get(), times) != 0) throw_errno(errno, source.filename);
  file.close_checked();
}

}  // namespace cbuild::solver::ops
