// SPDX-License-Identifier: Apache-2.0
// Odd registries as tables. A row has an action, the requests of it that get a fault, and the expected end: success in
// spite of the fault, or an error of a code and with words that name the cause, after a bounded number of requests.
#pragma once

#include <span>

#include "base/http/http.h"
#include "oci/registry/pull_fixture.h"

namespace cbuild::oci::registry {

/// The change of an answer.
using Change = std::function<void(http::FakeResponse&)>;
inline constexpr ErrorCode kWorks = ErrorCode::internal;  // the value of code_of() without an error
inline constexpr unsigned kAlways = 1000;

struct FaultRow {
  const char* name;
  const char* method;
  const char* path;  ///< part of the path of the requests that are meant
  unsigned times;    ///< how many of them get the fault
  Change fault;
  ErrorCode code = kWorks;
  const char* text = "";
  unsigned most = kAlways;  ///< of these requests
};

inline Change with_status(int code, http::HeaderList headers = {}, std::string body = {}) {
  return [=](http::FakeResponse& r) { r = {.status = code, .headers = headers, .body = body}; };
}
inline Change raw(std::string bytes) {
  return [=](http::FakeResponse& r) { r.raw = bytes; };
}
inline Change header(std::string name, std::string value) {
  return [=](http::FakeResponse& r) {
    std::erase_if(r.headers, [&](const auto& h) { return h.first == name; });
    if (!value.empty()) r.headers.emplace_back(name, value);
  };
}
inline Change body(std::string text) {
  return [=](http::FakeResponse& r) { r.body = text; };
}
inline Change both(Change a, Change b) {
  return [=](http::FakeResponse& r) {
    a(r);
    b(r);
  };
}

inline const Change kHangUp = [](http::FakeResponse& r) { r.hang_up = true; };
inline const Change kSilent = [](http::FakeResponse& r) { r.silent = true; };
inline const Change kCut = [](http::FakeResponse& r) { r.reset_after = r.body.size() / 2; };
inline const Change kShort = [](http::FakeResponse& r) {
  r.stated_length = r.body.size();
  r.body.resize(r.body.size() / 2);
};
inline const Change kChunked = [](http::FakeResponse& r) { r.chunked = true; };
inline const Change kDrip = [](http::FakeResponse& r) { r.drip_ms = 200; };
inline const Change kDamage = [](http::FakeResponse& r) {
  if (!r.body.empty()) r.body[r.body.size() / 2] ^= 1;
};
inline const Change kNoDigest = header("Docker-Content-Digest", "");
inline const Change kPage = with_status(200, {{"Content-Type", "text/html; charset=utf-8"}}, "<html>log in</html>");
inline const std::string kGarbage = "\x15\x03\x01 what is this\r\n\r\n";
inline const std::string kHuge(3u << 20, 'h');

inline std::string whole_answer(const std::string& line_end, const std::string& body_text) {
  return cat("Content-Type: ", media_type::kManifest, line_end, "Content-Length: ", body_text.size(), line_end,
             line_end, body_text);
}

inline bool is_meant(const std::string& path, std::string_view part) {
  return part == "/v2/" ? path == part : path.find(part) != std::string::npos;
}

struct FaultFixture : PullFixture {
  /// Gives the first `times` of the requests of a row the fault.
  void inject(const FaultRow& row) {
    left_ = row.times;
    meant_ = 0;
    registry.alter = [this, &row](const http::FakeRequest& request, http::FakeResponse& response) {
      if (request.method != row.method || !is_meant(request.path, row.path)) return;
      ++meant_;
      if (left_ == 0) return;
      --left_;
      row.fault(response);
    };
  }

  /// Requests of the row so far.
  unsigned meant() const { return meant_; }

  /// `action` returns the received content; with success it has to be `wanted`.
  template <typename Action>
  void check(std::span<const FaultRow> rows, const std::string& wanted, Action action) {
    for (const FaultRow& row : rows) {
      const std::string name = row.name;
      CAPTURE(name);
      inject(row);
      Client fresh(options);
      std::string what, got;
      const ErrorCode code = code_of([&] { got = action(fresh); }, &what);
      CAPTURE(what);
      CHECK(code == row.code);
      if (code == kWorks) CHECK(got == wanted);
      CHECK(what.find(row.text) != std::string::npos);
      CHECK(meant_ >= 1);
      CHECK(meant_ <= row.most);
      CHECK(what.find("plain http") == std::string::npos);  // none of these servers is asked the wrong way
    }
    registry.alter = nullptr;
  }

  /// For faults that have to be noticed by their slowness.
  void be_impatient() {
    options.limits.answer = options.limits.window = std::chrono::milliseconds(1500);
    options.limits.rate = 100;
  }

 private:
  unsigned left_ = 0, meant_ = 0;
};

}  // namespace cbuild::oci::registry
